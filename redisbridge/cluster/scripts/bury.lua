-- Ends a node's lease, so that what it declared can be taken back.
--
-- KEYS: nodes, dead. ARGV: the node's generation, "1" if it asks for that itself.
-- Answers 1, or 0 if its lease runs.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
if score and ARGV[2] ~= '1' and tonumber(score) >= now then
  return 0
end
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('SADD', KEYS[2], ARGV[1])
return 1
