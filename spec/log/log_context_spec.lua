--- What entries have from the request or the job that they belong to, wherever its code runs.
local json = require "moonloop.json"
local process = require "spec.support.process"

-- Runs the code and returns its entries by their messages.
local function entries(code, options)
  local output = process.run(code, options, "export MOONLOOP_LOG=info,json;")
  local list = {}
  for line in output:gmatch "[^\n]+" do
    local entry = assert(json.decode(line), line)
    list[entry.message] = entry
  end
  return list
end

local function find(list, pattern)
  for message, entry in pairs(list) do
    if message:find(pattern) then return entry end
  end
  error("no entry has " .. pattern)
end

-- Serves `body`, the lines of a handler, asks once, and returns the entries.
local function served(body, more, options)
  return entries(([[
    local app = ml.web.app()
    %s
    app:get("/x/{id}", { use = { ml.web.request_id() } }, function(req)
      %s
    end)
    do
      local client <close> = ml.web.test(app)
      client:get("/x/1", { headers = { ["x-request-id"] = "given" } })
    end]]):format(more or "", body), options)
end

local function check(entry)
  assert.same({ "given", "GET /x/{id}" }, { entry.request_id, entry.route })
end

describe("the context of entries", function()
  it("is that of the caller in executor jobs and the tasks that these start", function()
    local list = served [[
      ml.log.with({ tenant = "acme" }, ml.executor.run, function()
        local ml = require "moonloop"
        ml.log.info "in the job"
        ml.log.with({ more = 1 }, function() ml.spawn(function() ml.log.info "in its task" end):await() end)
        warn "by warn"
      end)
      ml.executor.run(function() require "moonloop".log.info "in another" end)
    ]]
    for _, message in ipairs { "in the job", "in its task", "by warn" } do
      check(list[message])
      assert.equal("acme", list[message].tenant)
    end
    assert.equal(1, list["in its task"].more)
    check(list["in another"])
    assert.is_nil(list["in another"].tenant)
  end)

  it("is none in jobs whose caller has none", function()
    local list = entries [[
      local pool <close> = ml.executor.new { threads = 1 }
      local function say(text) require "moonloop".log.info(text) end
      ml.log.with({ tenant = "acme" }, pool.run, pool, say, "with")
      pool:run(say, "without")]]
    assert.equal("acme", list.with.tenant)
    assert.is_nil(list.without.tenant)
  end)

  it("has the trace of the caller, and the span in which the job runs", function()
    local list = served([[
      ml.log.info "outside"
      ml.executor.run(function()
        local ml = require "moonloop"
        ml.trace.span("own", function() ml.log.info "in the job" end)
      end)
      req:after(function() ml.log.info "after" end)]], "ml.trace.start { endpoint = 'http://127.0.0.1:1' }")
    local outside, job, after = list.outside, list["in the job"], list.after
    check(job)
    assert.matches("^%x+$", outside.trace_id)
    assert.same({ outside.trace_id, outside.trace_id }, { job.trace_id, after.trace_id })
    assert.not_equal(outside.span_id, job.span_id)
    assert.equal(outside.span_id, after.span_id)
  end)

  it("is that of the request in functions of req:after and their errors", function()
    local list = served [[
      req:after(function() ml.log.info "after" end)
      req:after(function() error "boom" end)]]
    check(list.after)
    check(find(list, "boom"))
  end)

  it("is that of the job in the code of offloaded jobs", function()
    local list = entries [[
      local name = os.tmpname()
      local jobs = ml.jobs.new(ml.sql.open("sqlite:" .. name))
      jobs:define("off", { offload = true }, function() require "moonloop".log.info "offloaded" end)
      assert(jobs:push "off")
      jobs:drain()
      os.remove(name)]]
    local entry = list.offloaded
    assert.same({ "1", "off", "default" }, { entry.job_id, entry.job, entry.queue })
  end)

  it("is that of the task that has let go of the loop", function()
    local list = served([[
      local other = ml.spawn(ml.sleep, 100)
      os.execute "sleep 0.5"
      other:cancel()]], nil, "--block-limit 0.05")
    check(find(list, "^GET /x.*has held up"))
    check(find(list, "^GET /x.*has let go"))
  end)

  it("cannot be taken by fields that a client has chosen", function()
    local list = served [[
      local body = ml.json.decode '{"request_id":"forged","route":"forged","plain":1}'
      ml.log.info("its own", body)
      ml.log.with(body, ml.log.info, "bound")
      ml.executor.run(function(given) require "moonloop".log.info("in a job", given) end, body)
    ]]
    for _, message in ipairs { "its own", "bound", "in a job" } do
      local entry = list[message]
      check(entry)
      assert.same({ "forged", "forged", 1 }, { entry.request_id_, entry.route_, entry.plain })
    end
  end)

  it("cannot be crowded out by a client's fields", function()
    local list = served [[
      local many, long = {}, {}
      for i = 1, 100 do many["a" .. i] = i end
      for i = 1, 20 do long["a" .. i] = ("x"):rep(5000) end
      ml.log.info("many", many)
      ml.log.info("long", long)
    ]]
    check(list.many)
    check(list.long)
    assert.is_true(list.long.fields_left_out > 0)
  end)
end)
