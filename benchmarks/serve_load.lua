-- Posts one line of a file after the other, each by one connection only: wrk -s serve_load.lua URL -- FILE SKIP
local bodies, at = {}, 0
local headers = { ["Content-Type"] = "application/json" }
local statuses = {}

function init(arguments)
   for line in io.lines(arguments[1]) do bodies[#bodies + 1] = line end
   at = tonumber(arguments[2] or "0") % #bodies
end

function request()
   at = at % #bodies + 1
   return wrk.format("POST", nil, headers, bodies[at])
end

function done(summary, latency)
   io.write(string.format(
      "JSON {\"requests\": %d, \"seconds\": %.3f, \"refused\": %d, \"failed\": %d, \"p50\": %.2f, \"p95\": %.2f, \"p99\": %.2f}\n",
      summary.requests, summary.duration / 1e6, summary.errors.status,
      summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout,
      latency:percentile(50) / 1e3, latency:percentile(95) / 1e3, latency:percentile(99) / 1e3))
end
