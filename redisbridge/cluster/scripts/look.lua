-- Looks at the numbers of subscribers of some channels.
--
-- KEYS: channels, log. ARGV: names. Answers {the log's last id, {numbers or false}}.
local last = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)
return {last[1] and last[1][1] or '0-0', redis.call('HMGET', KEYS[1], unpack(ARGV))}
