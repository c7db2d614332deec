-- Gives a node its lease, or renews it, and tells what the node has to know.
--
-- KEYS: nodes, info, keeper, the node's ledger, log, due, channels, dead, position.
-- ARGV: the node's generation, the lease in milliseconds, what is to be known of
-- the node, "1" if it may be new, and the length of the log.
--
-- Answers {"gone"} to a node that had a lease and has it no more; otherwise {"ok",
-- 1 if it is the keeper, 1 if the lease had run out, the ledger's version, the
-- checkpoint, the number of nodes, and for the keeper those whose lease ran out and
-- those that are dead}.
local nodes, info, keeper, ledger, log, due, channels, dead, position =
  KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[9]
local generation, lease, about, new, length = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4] == '1', ARGV[5]

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local score = redis.call('ZSCORE', nodes, generation)
if not score and not new then
  return {'gone'}
end
local lapsed = score and tonumber(score) < now
redis.call('ZADD', nodes, now + lease, generation)
redis.call('HSET', info, generation, about)

-- If this node's own lease had run out, so may have all others' for the same
-- reason: then the keeper is given time to come back.
local holder = redis.call('GET', keeper)
if holder ~= generation then
  local alive = holder and redis.call('ZSCORE', nodes, holder)
  if not alive or (score and not lapsed and tonumber(alive) < now) then
    redis.call('SET', keeper, generation)
    holder = generation
  end
end

local expired, unfinished = {}, {}
if holder == generation then
  expired = redis.call('ZRANGEBYSCORE', nodes, '-inf', '(' .. now, 'LIMIT', 0, 100)
  unfinished = redis.call('SMEMBERS', dead)
  redis.call('XTRIM', log, 'MAXLEN', '~', length)
  for _, channel in ipairs(redis.call('ZRANGEBYSCORE', due, '-inf', now, 'LIMIT', 0, 1000)) do
    local total = redis.call('HGET', channels, channel)
    if total then
      redis.call('XADD', log, '*', 'type', 'count', 'channel', channel, 'n', total)
    end
    redis.call('ZREM', due, channel)
  end
end
return {'ok', holder == generation and 1 or 0, lapsed and 1 or 0,
  tonumber(redis.call('HGET', ledger, '\n') or 0),
  redis.call('GET', position) or '', redis.call('ZCARD', nodes), expired, unfinished}
