-- Keeps the last events of some cache channels and notes up to where the log has
-- been worked through.
--
-- KEYS: cache, cached, position, hooks, keeper.
-- ARGV: the generation of the node, which must be the keeper; up to where nodes have
-- read, or nothing if more is to come; up to where webhooks were told; and for each
-- channel its name, for how many milliseconds its last event is kept, and that event.
--
-- Answers 1, or 0 to a node that isn't the keeper.
local cache, cached, position, hooks, keeper = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
if redis.call('GET', keeper) ~= ARGV[1] then
  return 0
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for i = 4, #ARGV, 3 do
  redis.call('HSET', cache, ARGV[i], ARGV[i + 2])
  redis.call('ZADD', cached, now + tonumber(ARGV[i + 1]), ARGV[i])
end
for _, channel in ipairs(redis.call('ZRANGEBYSCORE', cached, '-inf', now, 'LIMIT', 0, 100)) do
  redis.call('HDEL', cache, channel)
  redis.call('ZREM', cached, channel)
end
if ARGV[2] ~= '' then
  redis.call('SET', position, ARGV[2])
  redis.call('SET', hooks, ARGV[3])
end
return 1
