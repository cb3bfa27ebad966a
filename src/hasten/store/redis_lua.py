"""What Redis does in one step, as the scripts it runs for ``redis``.

Each script's keys lie in one hash slot, so a Cluster runs them, too. Numbers go
through ``%.0f``: Lua writes large ones as ``1.7e+15`` of its own accord.
"""

from __future__ import annotations

INDEX = """
local added = 0
for i = 1, #ARGV, 3 do
  local old = redis.call('HGET', KEYS[2], ARGV[i])
  if old then added = added - struct.unpack('>I4', old) end
  added = added + struct.unpack('>I4', ARGV[i + 2])
  redis.call('ZADD', KEYS[1], ARGV[i + 1], ARGV[i])
  redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 2])
end
return redis.call('INCRBY', KEYS[3], added)
"""
"""Keys: index, meta, bytes. Arguments: key, score and meta of each item. Returns the bytes held."""

_TAKE_OFF = """
local function take_off(keys)
  local size = 0
  for _, key in ipairs(keys) do
    local meta = redis.call('HGET', KEYS[2], key)
    if meta then size = size + struct.unpack('>I4', meta) end
    redis.call('HDEL', KEYS[2], key)
    redis.call('ZREM', KEYS[1], key)
  end
  return redis.call('DECRBY', KEYS[3], size)
end
"""

REMOVE = f"{_TAKE_OFF} take_off(ARGV)"
"""Keys: index, meta, bytes. Arguments: the keys to take off the index."""

TRIM = f"""{_TAKE_OFF}
local expired = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[3])
local held = take_off(expired)
local dropped = {{}}
while held > tonumber(ARGV[2]) and #dropped < tonumber(ARGV[3]) do
  local next = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', '(+inf', 'LIMIT', 0, 1)
  if #next == 0 then break end
  held = take_off(next)
  dropped[#dropped + 1] = next[1]
end
return {{#expired, dropped}}
"""
"""Keys: index, meta, bytes. Arguments: now, the most bytes, the most items.

Returns how many had expired, and the keys dropped for room, soonest to expire first.
"""

_BEGIN = """
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('SET', KEYS[1], ARGV[1])
  redis.call('SET', KEYS[2], ARGV[1])
end
"""

BUMP = f"""{_BEGIN}
local epoch = string.format('%.0f', redis.call('INCR', KEYS[1]))
for i = 3, #ARGV do redis.call('ZADD', KEYS[3], epoch, ARGV[i]) end
local surplus = redis.call('ZCARD', KEYS[3]) - tonumber(ARGV[2])
if surplus > 0 then
  local last = redis.call('ZRANGE', KEYS[3], surplus - 1, surplus - 1, 'WITHSCORES')
  redis.call('ZREMRANGEBYRANK', KEYS[3], 0, surplus - 1)
  redis.call('SET', KEYS[2], string.format('%.0f', last[2]))
end
redis.call('PUBLISH', KEYS[4], epoch)
return epoch
"""
"""Keys: epoch, floor, marks, news. Arguments: the first epoch, the most marks, the marks."""

CHANGES = f"""{_BEGIN}
local asked = {{}}
for i = 3, #ARGV do asked[i - 2] = redis.call('ZSCORE', KEYS[3], ARGV[i]) or '' end
local bumps = redis.call('ZRANGEBYSCORE', KEYS[3], '(' .. ARGV[2], '+inf', 'WITHSCORES')
return {{redis.call('GET', KEYS[1]), redis.call('GET', KEYS[2]), asked, bumps}}
"""
"""Keys: epoch, floor, marks, news. Arguments: the first epoch, since when, the marks asked for.

Returns the epoch, the floor, when each mark asked for was bumped, and what was bumped since.
"""

RESTART = """
local epoch = math.max(tonumber(ARGV[1]), tonumber(redis.call('GET', KEYS[1]) or 0) + 1)
redis.call('SET', KEYS[1], string.format('%.0f', epoch))
redis.call('SET', KEYS[2], string.format('%.0f', epoch))
"""
"""Keys: epoch, floor. Argument: where to start again."""

TAKE = """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
"""Key: lease. Arguments: who wants it, for how many milliseconds. Returns whether they have it."""

DROP = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end"
"""Key: lease. Argument: who gives it up."""
