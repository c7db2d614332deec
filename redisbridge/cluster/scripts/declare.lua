-- Declares how many subscribers and which members of some channels a node has.
--
-- KEYS: log, nodes, channels, the node's ledger, due, and the members of each
-- presence channel among the changes.
-- ARGV: the node's generation; "1" if it is dead, and this is another's doing;
-- "1" if webhooks want to know; the members a channel may have, 0 for any number;
-- milliseconds between two counts of a large channel; the number of changes; and
-- for each change: channel, subscribers, which of KEYS has its members or 0, "1" if
-- the roster is wanted, "1" if a change of its count is to be told or "2" if its count
-- is in any case, the number of members that came with user and info each, the number
-- of those that left with user each.
--
-- Answers {"gone"} to a node that has no lease; otherwise {"ok", the log's last id,
-- the ledger's version, {members, refused users} for each change}.
local log, nodes, channels, ledger, due = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local at = 0
local function take()
  at = at + 1
  return ARGV[at]
end
local generation, dead, hooks = take(), take() == '1', take() == '1'
local max, interval = tonumber(take()), tonumber(take())

if not dead and not redis.call('ZSCORE', nodes, generation) then
  return {'gone'}
end

local function tell(...)
  redis.call('XADD', log, '*', ...)
end

-- Counts come last, behind the position in the answer: who joins hears of them too.
local counts = {}

local function tellOf(channel, total)
  if total > 100 then
    local now = redis.call('TIME')
    redis.call('ZADD', due, 'NX', now[1] * 1000 + math.floor(now[2] / 1000) + interval, channel)
  elseif total > 0 then
    counts[#counts + 1] = {channel, total}
  end
end

local function count(channel, subscribers, tellCount)
  local before = tonumber(redis.call('HGET', ledger, channel) or 0)
  if subscribers == before then
    if tellCount == '2' then
      tellOf(channel, tonumber(redis.call('HGET', channels, channel) or 0))
    end
    return false
  end
  if subscribers > 0 then
    redis.call('HSET', ledger, channel, subscribers)
  else
    redis.call('HDEL', ledger, channel)
  end
  local total = redis.call('HINCRBY', channels, channel, subscribers - before)
  local first = total > 0 and total == subscribers - before
  if total <= 0 then
    redis.call('HDEL', channels, channel)
  end
  if string.sub(channel, 1, 1) == '~' then
    local user = string.sub(channel, 2)
    if user ~= '' and first then
      tell('type', 'online', 'user', user)
    elseif user ~= '' and total <= 0 then
      tell('type', 'offline', 'user', user)
    end
    return false
  end
  if first and hooks then
    tell('type', 'occupied', 'channel', channel)
  end
  if tellCount ~= '' then
    tellOf(channel, total)
  end
  return total <= 0
end

local function come(channel, members, user, info)
  local field = channel .. '\n' .. user
  if redis.call('HEXISTS', ledger, field) == 1 then
    return true
  end
  local known = redis.call('HGET', members, user)
  if known then
    local space = string.find(known, ' ', 1, true)
    redis.call('HSET', members, user, tonumber(string.sub(known, 1, space - 1)) + 1 .. string.sub(known, space))
  elseif max > 0 and redis.call('HLEN', members) >= max then
    return false
  else
    redis.call('HSET', members, user, '1 ' .. info)
    tell('type', 'member_added', 'channel', channel, 'user', user, 'info', info)
  end
  redis.call('HSET', ledger, field, 1)
  return true
end

local function leave(channel, members, user)
  if redis.call('HDEL', ledger, channel .. '\n' .. user) == 0 then
    return
  end
  local known = redis.call('HGET', members, user)
  if not known then
    return
  end
  local space = string.find(known, ' ', 1, true)
  local nodesOf = tonumber(string.sub(known, 1, space - 1))
  if nodesOf > 1 then
    redis.call('HSET', members, user, nodesOf - 1 .. string.sub(known, space))
  else
    redis.call('HDEL', members, user)
    tell('type', 'member_removed', 'channel', channel, 'user', user)
  end
end

local answers = {}
for i = 1, tonumber(take()) do
  local channel, subscribers, key = take(), tonumber(take()), tonumber(take())
  local wantRoster, tellCount = take() == '1', take()
  local members = KEYS[key]
  local refused = {}
  local vacated = count(channel, subscribers, tellCount)
  for _ = 1, tonumber(take()) do
    local user, info = take(), take()
    if not come(channel, members, user, info) then
      refused[#refused + 1] = user
    end
  end
  for _ = 1, tonumber(take()) do
    leave(channel, members, take())
  end
  if vacated and hooks then
    tell('type', 'vacated', 'channel', channel)
  end
  answers[i] = {wantRoster and redis.call('HGETALL', members) or false, refused}
end

local version = 0
if not dead then
  version = redis.call('HINCRBY', ledger, '\n', 1)
end
local last = redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)
for _, c in ipairs(counts) do
  tell('type', 'count', 'channel', c[1], 'n', c[2])
end
return {'ok', last[1] and last[1][1] or '0-0', version, answers}
