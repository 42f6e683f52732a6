--- ml.log: entries, their fields and formats.
local core = require "moonloop.log.core"
local json = require "moonloop.json"
local ml = require "moonloop"
local process = require "spec.support.process"
local web = require "spec.support.web"

local log = ml.log

-- Calls f and returns the entries that were logged meanwhile.
local function entries(f)
  local list = {}
  log.to(function(entry) list[#list + 1] = entry end)
  f()
  log.info "the end"
  while not list[#list] or list[#list].message ~= "the end" do ml.sleep(0) end
  log.to(nil)
  list[#list] = nil
  return list
end

local function entry(f) return (entries(f)[1]) end

-- Runs the code as a program whose log is `format`: what it wrote, line by line.
local function run(code, format, options, variable)
  local output, status = process.run(code, options, ("export MOONLOOP_LOG=%s %s;"):format(format, variable or ""))
  local lines = {}
  for line in output:gmatch "[^\n]+" do lines[#lines + 1] = line end
  return lines, status
end

describe("an entry of ml.log", function()
  it("has a time, a level, a message and fields", function()
    local it = entry(function() log.warn("disk nearly full", { free = 0.5, disk = "sda", ok = false, n = 3 }) end)
    assert.matches("^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%dZ$", it.time)
    assert(math.abs(ml.time.parse(it.time) - os.time()) < 600)
    it.time = nil
    assert.same({ level = "warn", message = "disk nearly full", free = 0.5, disk = "sda", ok = false, n = 3 }, it)
  end)

  it("is only logged if its level is high enough", function()
    local list = entries(function()
      log.debug "no"
      log.info "a"
      log.warn "b"
      log.error "c"
    end)
    assert.equal(3, #list)
    assert.same({ "a", "b", "c" }, { list[1].message, list[2].message, list[3].message })
  end)

  it("hides the values of secret names, in tables too", function()
    local it = entry(function()
      log.info("x", { password = "p1", userPassword = "p2", ["x-api-key"] = "p3", Authorization = { "p5" }, COOKIE = 5,
        tokens = true, user = { session_token = "p4", id = 1 } })
    end)
    for _, name in ipairs { "password", "userPassword", "x-api-key", "Authorization", "COOKIE", "tokens" } do
      assert.equal("(hidden)", it[name])
    end
    assert.same({ session_token = "(hidden)", id = 1 }, it.user)
  end)

  it("shows no password of a URL, wherever it is", function()
    local code = [[
      local ml = require "moonloop"
      ml.log.info("to postgres://app:hunter2@db:5432/shop and back, redis://:hunter2@r", { at = "http://u:p@h/a@b:c",
        list = { "amqp://app:hun%40ter2@q/" }, other = "http://h:80/u:hunter2@x mail:hunter2@x" })
    ]]
    for _, format in ipairs { "json", "text" } do
      local text = table.concat((run(code, format)), "\n")
      assert.matches("to postgres://app:***@db:5432/shop and back, redis://:***@r", text, 1, true)
      for _, shown in ipairs { "http://u:*@h/a@b:c", "amqp://app:***@q/", "http://h:80/u:hunter2@x mail:hunter2@x" } do
        assert.matches(shown, text, 1, true)
      end
    end
  end)

  -- One list for logs, traces and the error pages of `moonloop dev`.
  it("knows what is secret by its name, and in a query more", function()
    for _, name in ipairs { "passwd", "new_passwd", "PWD", "passphrase", "client-secret", "api_key", "ApiKey",
      "private_key", "credentials", "csrf", "session_id", "jwt", "id_token", "set-cookie", "Auth", "sid", "sig" } do
      assert.is_true(core.is_secret(name), name)
      assert.is_true(core.is_secret(name, true), name)
    end
    for _, name in ipairs { "key", "code", "session", "X-Amz-Signature", "authuser" } do
      assert.is_false(core.is_secret(name), name)
      assert.is_true(core.is_secret(name, true), name)
    end
    for _, name in ipairs { "", "page", "side", "name", "pass" } do
      assert.is_false(core.is_secret(name, true), name)
    end
  end)

  it("has tables as JSON, to a depth and a number of items", function()
    local loop = {}
    loop.loop = loop
    local long = {}
    for i = 1, 100 do long[i] = i end
    local it = entry(function()
      log.info("x", { list = { 1, "a", { true } }, loop = loop, long = long, huge = { 1 / 0 }, null = json.null })
    end)
    assert.same({ 1, "a", { true } }, { it.list[1], it.list[2], { it.list[3][1] } })
    assert.equal("...", it.loop.loop.loop.loop.loop)
    assert.equal(51, #it.long)
    assert.equal("...", it.long[51])
    assert.equal("inf", it.huge[1])
    assert.equal(json.null, it.null)
  end)

  it("has an error's kind, code and causes as fields", function()
    local root = select(2, ml.fs.read "/nowhere/x")
    local err = require "moonloop.core".error {
      kind = "migration", code = 7, message = "no", cause = root, traceback = "a\nb",
    }
    for _, it in ipairs(entries(function()
      log.error("cannot", err)
      log.error("cannot", { error = err })
    end)) do
      assert.equal("cannot", it.message)
      assert.equal(tostring(err), it.error)
      assert.equal("migration", it.error_kind)
      assert.equal(7, it.error_code)
      assert.equal(tostring(root), it.cause)
      assert.equal("a\nb", it.traceback)
    end
    local it = entry(function() log.error(err) end)
    assert.equal(tostring(err), it.message)
    assert.equal("migration", it.error_kind)
  end)

  it("may have any value as its message, and names that the log has itself", function()
    local it = entry(function() log.info({ code = 7 }, { level = "mine", time = 1, pid = 2 }) end)
    assert.equal("{code = 7}", it.message)
    assert.same({ "info", "mine", 1, 2 }, { it.level, it.level_, it.time_, it.pid_ })
  end)

  it("is cut where it is too large", function()
    local big = {}
    for i = 1, 60 do big["f" .. i] = ("\1"):rep(8000) end
    local it = entry(function() log.info(("é"):rep(10000), big) end)
    assert.equal(8 * 1024 + 3, #it.message)
    assert(it.fields_left_out > 40)
  end)

  it("is never cut inside of a character", function()
    local function long(n) return ("x"):rep(n) .. ("é"):rep(20000) end
    local causes = { kind = "deep", message = long(0) }
    for shift = 0, 1 do
      local err = require "moonloop.core".error { kind = "cut", message = "no", cause = causes,
        traceback = long(shift), [long(shift)] = 1 }
      local it = entry(function() log.error(long(shift), { text = long(shift), list = { long(shift) }, error = err,
        [long(shift)] = 1, [long(shift) .. "_"] = err }) end)
      local function check(value)
        if type(value) == "string" then return assert.is_nil(value:find("\\x", 1, true)) end
        if type(value) ~= "table" then return end
        for k, v in pairs(value) do check(k) check(v) end
      end
      check(it)
      local lines = run(([[
        local text = ("x"):rep(%d) .. ("é"):rep(20000)
        local cause = require "moonloop.core".error { kind = "deep", message = text }
        ml.log.error(text, { traceback = text, text = text,
          error = require "moonloop.core".error { kind = "cut", message = "no", cause = cause, [text] = 1 } })
      ]]):format(shift), "info,text")
      for _, line in ipairs(lines) do assert.is_nil(line:find("\\x", 1, true), line:sub(-100)) end
      assert(#lines >= 2)
    end
  end)

  it("raises for what is no table of fields", function()
    assert.error_matches(function() log.info("x", "y") end, "bad argument #2 to 'ml.log.info' %(table expected")
    assert.error_matches(function() log.info() end, "bad argument #1 to 'ml.log.info'")
    assert.error_matches(function() log.with(1, print) end, "bad argument #1 to 'ml.log.with' %(table expected")
    assert.error_matches(function() log.with({ a = 1 }) end,
      "bad argument #2 to 'ml.log.with' %(function expected, got n")
    assert.error_matches(function() log.to(1) end, "bad argument #1")
  end)
end)

describe("ml.log.with", function()
  it("binds fields to a function and the tasks that it starts", function()
    local list = entries(function()
      local results = table.pack(log.with({ a = 1, b = 1 }, function(...)
        log.info "x"
        log.with({ b = 2 }, function() ml.spawn(function() log.info("y", { c = 3 }) end):await() end)
        log.info "z"
        return ...
      end, 4, nil))
      assert.same({ 4, nil, n = 2 }, results)
      log.info "after"
      assert.is_false(pcall(log.with, { a = 1 }, error, "x"))
      log.info "after"
    end)
    local seen = {}
    for i, it in ipairs(list) do seen[i] = { it.a or 0, it.b or 0, it.c or 0 } end
    assert.same({ { 1, 1, 0 }, { 1, 2, 3 }, { 1, 1, 0 }, { 0, 0, 0 }, { 0, 0, 0 } }, seen)
  end)

  it("binds them to what the host reports about these tasks", function()
    local it = entry(function()
      require "moonloop.clock".virtual()
      log.with({ tenant = "acme" }, ml.spawn, error, "lost")
      ml.sleep(2)
    end)
    assert.equal("moonloop", it.logger)
    assert.matches("^task %d+ failed and nobody awaited it: lost$", it.message)
    assert.equal("lost", it.error)
    assert.equal("acme", it.tenant)
    assert.matches("^stack traceback:\n", it.traceback)
    assert.matches("^spawned at ", it.place)
  end)
end)

describe("ml.log.to", function()
  it("passes entries one after the other to a function that waits", function()
    local running, list = 0, {}
    log.to(function(it)
      running = running + 1
      assert(running == 1)
      ml.sleep(0)
      log.debug "its own do not come back"
      list[#list + 1] = it.message
      running = running - 1
    end)
    for i = 1, 20 do log.info(tostring(i)) end
    while #list < 20 do ml.sleep(0) end
    log.to(nil)
    assert.equal("20", list[20])
  end)

  it("writes an entry whose function fails, and passes on the next", function()
    local lines = run([[
      ml.log.to(function(it)
        if it.message == "a" then error "of the function" end
        print("taken " .. it.message)
        ml.log.info "mine"
      end)
      ml.log.info "a"
      ml.log.info "b"]], "info,text")
    assert.equal("a", lines[1])
    assert.matches("^moonloop: the function of ml.log.to failed: .*of the function$", lines[2])
    table.sort(lines)
    assert.matches("\nmine\n.*\ntaken b$", table.concat(lines, "\n"))
  end)

  it("loses nothing at the end of the program", function()
    local lines, status = run([[
      ml.log.to(function() ml.sleep(1000) end)
      ml.log.info "a"
      ml.spawn(function() ml.sleep(0) ml.log.info "b" error("c", 0) end)
      ml.sleep(0)
      ml.sleep(0)
      os.exit(3)]], "info,text")
    assert.equal(3, status)
    local text = table.concat(lines, "\n")
    assert.matches("^a\nb\n", text)
    assert.matches("\nmoonloop: task %d+ failed and nobody awaited it: c\n", text)
  end)
end)

describe("a request", function()
  it("has its id and route in the entries of its tasks", function()
    local app = ml.web.app()
    app:get("/n/{x}", function()
      log.info "handler"
      ml.spawn(function() log.info "child" end):await()
      return ""
    end)
    app:get("/id", { use = { ml.web.request_id() } }, function(req)
      log.with({ more = 1 }, function() log.info "named" end)
      return req.id
    end)
    app:get("/fails", function() error "boom" end)
    local id
    local list = entries(function()
      web.serving(app, function(port)
        ml.http.get(("http://127.0.0.1:%s/n/1"):format(port))
        id = ml.http.get(("http://127.0.0.1:%s/id"):format(port)).body
        ml.http.get(("http://127.0.0.1:%s/fails"):format(port))
      end)
      log.info "outside"
    end)
    assert.equal(5, #list)
    for i = 1, 2 do assert.same({ "1", "GET /n/{x}" }, { list[i].request_id:match "^%x+%-(%d+)$", list[i].route }) end
    assert.same({ id, "GET /id", 1 }, { list[3].request_id, list[3].route, list[3].more })
    assert.same({ "3", "GET /fails", "moonloop", "error" },
      { list[4].request_id:match "^%x+%-(%d+)$", list[4].route, list[4].logger, list[4].level })
    assert.matches("^stack traceback:", list[4].traceback)
    assert.is_nil(list[5].request_id)
  end)
end)

describe("the log of a program", function()
  it("is JSON, an object a line, where standard error is no terminal", function()
    local lines = run([[
      ml.log.info("a\nb", { x = "\27[31m\xff\u{9b}" })
      warn("w", "arn")
      error "boom"]], "")
    assert.equal(3, #lines)
    for i, line in ipairs(lines) do
      assert.is_nil(line:find "[\0-\31\127-\159]")
      lines[i] = json.decode(line)
    end
    assert.same({ "a\nb", "\27[31m\\xff\u{9b}" }, { lines[1].message, lines[1].x })
    assert.same({ "warn", "lua", "warn" }, { lines[2].message, lines[2].logger, lines[2].level })
    assert.matches("^SCRIPT:4: boom$", lines[3].message)
    assert.matches("^stack traceback:\n", lines[3].traceback)
  end)

  it("takes level and format from the options, else from MOONLOOP_LOG", function()
    local code = 'for _, level in ipairs { "debug", "info", "warn", "error" } do ml.log[level](level) end'
    local function count(...) return #(run(code, ...)) end
    assert.equal(4, count "debug")
    assert.equal(1, count "error,text")
    assert.equal(3, count ",json")
    assert.equal(2, count("debug", "--log-level warn"))
    assert.same({ "warning: warn", "error: error" }, (run(code, "debug,json", "--log-level=warn --log-format text")))
    local lines = run(code, "loud")
    assert.equal(4, #lines)
    assert.matches("MOONLOOP_LOG is 'loud'", lines[1], 1, true)
  end)

  it("refuses other levels and formats in plain text", function()
    local binary = process.quote(require "spec.support".binary)
    for option, message in pairs {
      ["--log-level=x"] = "--log-level must be debug, info, warn or error, not 'x'",
      ["--log-format=x"] = "--log-format must be terminal, text or json, not 'x'",
      ["--log-level="] = "--log-level needs a value",
    } do
      for _, command in ipairs { "run", "repl", "test" } do
        local output, status = process.sh(("%s %s %s x.lua"):format(binary, command, option))
        assert.equal(2, status)
        assert.equal("moonloop: " .. message, output:match "^[^\n]*")
      end
    end
  end)

  it("cannot be forged in text, whatever an error says", function()
    local code = [[error("no such user x\nmoonloop: all is well\r\27[2K\u{9b}31m\0\xff")]]
    local lines = run(code, "info,text")
    assert.equal("moonloop: SCRIPT:2: no such user x", lines[1])
    assert.equal("  moonloop: all is well\\r\\x1b[2K\\xc2\\x9b31m\\x00\\xff", lines[2])
    assert.equal("stack traceback:", lines[3])
    lines = run('ml.log.info("a\\nb", { ["x\\n"] = "c\\nd", y = "e f" })', "info,text")
    assert.same({ "a", '  b "x\\n"="c\\nd" y="e f"' }, lines)
  end)

  it("shows no characters that end lines or turn the order around, in any format", function()
    local chars = { 0x2028, 0x2029, 0x202A, 0x202E, 0x2066, 0x2069, 0x9B }
    for _, code in ipairs(chars) do
      local c = utf8.char(code)
      local call = ("ml.log.info('a%sb', { f = 'c%sd', t = { 'e%sf' }, ['g%s'] = 1 })"):format(c, c, c, c)
      for _, format in ipairs { "text", "terminal", "json" } do
        local text = table.concat(run(call, "info," .. format), "\n")
        assert.is_nil(text:find(c, 1, true), format)
        assert.matches("b", text)
      end
      local got = json.decode(run(call, "info,json")[1])
      assert.same({ "a" .. c .. "b", "c" .. c .. "d", "e" .. c .. "f", 1 },
        { got.message, got.f, got.t[1], got["g" .. c] })
    end
    local shown = "\u{200f}\u{2026}\u{20ac}"
    assert.same({ shown .. ' q="\u{2026}"' }, run(("ml.log.info('%s', { q = '\u{2026}' })"):format(shown), "info,text"))
  end)

  it("has time, level and colours in the terminal's format", function()
    local lines = run('ml.log.warn("a\\nb", { c = 1 })', "info,terminal")
    assert.matches("^\27%[2m%d%d:%d%d:%d%d%.%d%d%d\27%[0m \27%[33mWARN \27%[0m a$", lines[1])
    assert.equal("    b \27[36mc\27[0m=1", lines[2])
    local plain = process.run('ml.log.error("a")', nil, "export NO_COLOR=1 MOONLOOP_LOG=,terminal;")
    assert.matches("^%d%d:%d%d:%d%d%.%d%d%d ERROR a\n$", plain)
  end)
end)

describe("a span", function()
  it("has its ids in the entries of its tasks", function()
    local lines = run([[
      ml.trace.span("work", function() ml.spawn(function() ml.log.info "in it" end):await() end)
      os.exit(0)]], "info,json", "--block-limit 0", "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1")
    local it = json.decode(lines[1])
    assert.matches("^%x+$", it.trace_id)
    assert.equal(32, #it.trace_id)
    assert.equal(16, #it.span_id)
  end)
end)
