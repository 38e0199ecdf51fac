"""
Leases on Redis: what :class:`shared.relay.leases.LeaseTable` does, as scripts that Redis runs as one step each.

A lease is the key ``tickbench:lease:NAME`` with its number and its owner, and Redis ends it. One counter numbers all.
The last number that this run of Redis gave of each is kept for a minute longer, in ``tickbench:lease-last:NAME``: who
comes later than that, or to a Redis that has read its leases from a disk, has none back.
Redis tells how long it has run in whole seconds, so a start is waited out for up to 2 s longer than a lease lasts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.relay.hub import Acquire, Regain, Renew

if TYPE_CHECKING:
    from shared.relay.hub import Question

_PREFIX = "tickbench:lease:"
_LAST = "tickbench:lease-last:"
_COUNTER = "tickbench:lease-number"

_COMMON = """
local function is_young(ttl_ms)
  local up_s = string.match(redis.call('INFO', 'server'), 'uptime_in_seconds:(%d+)')
  return (tonumber(up_s) - 1) * 1000 < tonumber(ttl_ms)
end
local function held()
  local text = redis.call('GET', KEYS[1])
  if not text then return nil, nil end
  local number, owner = string.match(text, '^(%d+) (.*)$')
  return tonumber(number), owner
end
local function as_last(number)
  return string.format('%.0f ', number) .. string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
end
local function keep(number, owner, ttl_ms)
  local text = string.format('%.0f', number)
  redis.call('SET', KEYS[1], text .. ' ' .. owner, 'PX', ttl_ms)
  redis.call('PEXPIRE', KEYS[3], string.format('%.0f', ttl_ms + 60000))
  if number > tonumber(redis.call('GET', KEYS[2]) or '0') then redis.call('SET', KEYS[2], text) end
end
"""

ACQUIRE = (
    _COMMON
    + """
local owner, ttl_ms = ARGV[1], ARGV[2]
local number, holder = held()
if number then
  if holder ~= owner then return 0 end
elseif is_young(ttl_ms) then
  return 0
end
local now = redis.call('TIME')
local wall_ms = tonumber(now[1]) * 1000 + math.floor(tonumber(now[2]) / 1000)
number = math.max(tonumber(redis.call('GET', KEYS[2]) or '0') + 1, wall_ms)
redis.call('SET', KEYS[3], as_last(number))
keep(number, owner, ttl_ms)
return number
"""
)

RENEW = (
    _COMMON
    + """
local owner, ttl_ms, mine = ARGV[1], ARGV[2], tonumber(ARGV[3])
local number = held()
if number ~= mine and (not is_young(ttl_ms) or (number and number > mine)) then return 0 end
keep(mine, owner, ttl_ms)
return 1
"""
)

REGAIN = (
    _COMMON
    + """
local owner, ttl_ms, mine = ARGV[1], ARGV[2], tonumber(ARGV[3])
if redis.call('GET', KEYS[3]) ~= as_last(mine) or is_young(ttl_ms) then return 0 end
keep(mine, owner, ttl_ms)
return 1
"""
)

RELEASE = (
    _COMMON
    + """
if held() ~= tonumber(ARGV[1]) then return 0 end
redis.call('DEL', KEYS[1], KEYS[3])
return 1
"""
)


def redis_command(question: Question) -> tuple[str | int, ...]:
    """Return the command of Redis that answers a question, as an integer."""
    keys = (3, f"{_PREFIX}{question.name}", _COUNTER, f"{_LAST}{question.name}")
    if isinstance(question, Acquire):
        return "EVAL", ACQUIRE, *keys, question.owner, question.ttl_ms
    if isinstance(question, Renew):
        return "EVAL", RENEW, *keys, question.owner, question.ttl_ms, question.number
    if isinstance(question, Regain):
        return "EVAL", REGAIN, *keys, question.owner, question.ttl_ms, question.number
    return "EVAL", RELEASE, *keys, question.number
