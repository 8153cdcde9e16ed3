/**
 * The program for wrk, in Lua: reads prepared requests from a file, sends them in turn, and ends with one line of JSON.
 * Rule: `response` exists only when answers are checked, because wrk parses headers and body for it.
 */
export const WRK_SCRIPT = `
local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init(args)
  local file = assert(io.open(args[1], "rb"))
  requests = {}
  while true do
    local length = file:read("*n")
    if not length then break end
    file:read(1)
    requests[#requests + 1] = file:read(length)
  end
  file:close()
  at = 0
  wrong = 0
  if args[2] then
    local status = tonumber(args[2])
    local part = args[3] or ""
    response = function(code, headers, body)
      if code ~= status or (part ~= "" and not string.find(body, part, 1, true)) then wrong = wrong + 1 end
    end
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
end

function done(summary, latency)
  local e = summary.errors
  local errors = e.connect + e.read + e.write + e.timeout
  local wrong = 0
  for _, thread in ipairs(threads) do wrong = wrong + (thread:get("wrong") or 0) end
  errors = errors + math.max(wrong, e.status)
  io.write(string.format('\\n{"requests":%d,"seconds":%.6f,"errors":%d,"p50Ms":%.3f,"p99Ms":%.3f}\\n',
    summary.requests, summary.duration / 1e6, errors, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
`;
