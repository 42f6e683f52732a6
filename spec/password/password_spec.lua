-- ml.password: hashes by argon2id, off the loop.
local keep_reports = require("spec.support").keep_reports
local ml = require "moonloop"
local web = require "spec.support.web"

local hash, verify, needs_rehash = ml.password.hash, ml.password.verify, ml.password.needs_rehash

local CURRENT = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQxMjM0NTY3OA$oVLnFW4Vdd+KZaNyuHNZYDlTeeRDSkyoACLFGAAhgLc"
local OTHERS = { -- of "correct horse", by the reference implementation
  "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQxMjM0NTY3OA$B/amrRUxAwSCPRgKPr7MsU9bSHzgXripXVHqfXK0H2I",
  "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$UZQMfnXNUwDaNYeqGGRZ/g",
  "$argon2i$v=19$m=4096,t=3,p=1$c29tZXNhbHQxMjM0NTY3OA$TU5y3BjQBKXMQWJfbZx4PkSOVHdctufntoffCQ36LsI",
  "$argon2id$v=19$m=64,t=2,p=4$c29tZXNhbHQxMjM0NTY3OA$vpgsqeUB51ZpsrzRd0BgpWKyJLq5aHZZ",
}

--- `f` raises what has `pattern`, with a line of this file.
local function raises(pattern, f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  assert.matches("password_spec.lua:%d+: .*" .. pattern, tostring(err))
end

describe("a hash", function()
  it("is of argon2id with 19 MiB, two passes, one lane, and a new salt", function()
    local a, b = ml.gather({ hash, "correct horse" }, { hash, "correct horse" })
    assert.matches("^%$argon2id%$v=19%$m=19456,t=2,p=1%$[%w+/]+%$[%w+/]+$", a)
    assert.not_equal(a, b)
    assert.is_true(verify("correct horse", a))
    assert.is_false(verify("correct hors", b))
    assert.is_false(needs_rehash(a))
  end)

  it("takes all bytes of the password, NUL and none at all included", function()
    local made = hash "a\0b"
    assert.is_true(verify("a\0b", made))
    assert.is_false(verify("a\0c", made))
    assert.is_true(verify("", hash ""))
  end)

  it("of the reference implementation is verified", function()
    assert.is_true(verify("correct horse", CURRENT))
    assert.is_false(verify("correct house", CURRENT))
    assert.is_false(needs_rehash(CURRENT))
  end)

  it("with other parameters is verified, and made again by who asks", function()
    for _, other in ipairs(OTHERS) do
      assert.is_true(verify("correct horse", other), other)
      assert.is_false(verify("correct house", other), other)
      assert.is_true(needs_rehash(other), other)
    end
  end)

  it("of an unknown user is false", function()
    assert.is_false(verify("correct horse", nil))
    assert.is_false(verify("", nil))
  end)

  it("of another algorithm is an error that names it", function()
    for text, what in pairs {
      ["$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW"] = "a hash of bcrypt",
      ["$scrypt$ln=16,r=8,p=1$aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E"] = "a hash of scrypt",
      ["pbkdf2_sha256$260000$abc$def"] = "a hash of PBKDF2",
      ["correct horse"] = "not a hash",
      [""] = "not a hash",
      ["$argon2id$v=19$m=64,t=2,p=4$c29tZXNhbHQxMjM0NTY3OA"] = "a malformed hash",
      [CURRENT .. "!"] = "a malformed hash",
      [CURRENT .. "\0"] = "not a hash",
      [CURRENT:gsub("m=19456", "m=019456")] = "a malformed hash",
      [CURRENT:gsub("m=19456", "m=4")] = "a malformed hash",
      [CURRENT:gsub("v=19", "v=16")] = "a hash of an old version of argon2",
      [("$"):rep(100000)] = "not a hash",
    } do
      raises("the hash is " .. what .. " %(one of argon2id expected%)", verify, "correct horse", text)
      assert.is_true(needs_rehash(text))
    end
  end)

  it("that would exhaust the machine is refused", function()
    for _, cost in ipairs { "m=4194304,t=2,p=1", "m=19456,t=1000000,p=1", "m=19456,t=2,p=255", "m=262145,t=2,p=1" } do
      raises("absurd cost", verify, "x", (CURRENT:gsub("m=19456,t=2,p=1", cost)))
    end
  end)

  it("needs a string of at most 4096 bytes", function()
    raises("a password expected, got nil", hash)
    raises("a password expected, got table", verify, {}, CURRENT)
    raises("a hash or nil expected, got boolean", verify, "x", false)
    raises("a hash expected, got nil", needs_rehash)
    raises("4097 bytes %(at most 4096%)", hash, ("x"):rep(4097))
    assert.is_false(verify(("x"):rep(4097), CURRENT))
    assert.is_false(verify(("x"):rep(4097), nil))
  end)
end)

describe("the line of hashes", function()
  it("lets others run meanwhile", function()
    local made = ml.spawn(hash, "correct horse")
    local passes = 0
    repeat
      ml.sleep(0)
      passes = passes + 1
    until made:status() ~= "running" and made:status() ~= "suspended" and made:status() ~= "ready"
    assert.is_true(passes > 1)
    assert.is_string(made:await())
  end)

  it("is left at once by those that are cancelled, waiting or computing", function()
    local tasks = {}
    for i = 1, 100 do tasks[i] = ml.spawn(verify, "correct horse", nil) end
    ml.sleep(0)
    for i = 1, 100 do tasks[i]:cancel() end
    ml.wait(tasks)
    for i = 1, 100 do assert.equal("cancelled", tasks[i]:status()) end
    assert.is_true(verify("correct horse", CURRENT))
    local value, err = ml.timeout(0, hash, "correct horse")
    assert.is_nil(value)
    assert.equal("timeout", err.kind)
  end)

  --- Fills the line: its tasks, and the error of the first that has no room.
  local function fill()
    local tasks, full = {}, nil
    repeat
      tasks[#tasks + 1] = ml.spawn(function()
        local ok, err = ml.catch(verify, "x", nil)
        if not ok and err.kind == "busy" then full = err elseif not ok then error(err, 0) end
      end)
      if #tasks % 16 == 0 then ml.sleep(0) end
    until full
    return tasks, full
  end

  local function drop(tasks)
    for _, task in ipairs(tasks) do task:cancel() end
    ml.wait(tasks)
  end

  it("refuses more than it can do soon, with a 503", function()
    local tasks, full = fill()
    assert.equal(503, full.status)
    assert.equal("Service Unavailable", full.detail)
    assert.is_true(tonumber(full.headers["Retry-After"]) >= 1)
    drop(tasks)
    assert.is_true(verify("correct horse", CURRENT))
  end)

  it("answers the client of a handler with it", function()
    local app = ml.web.app()
    app:get("/", function()
      local tasks, full = fill()
      drop(tasks)
      error(full, 0)
    end)
    web.serving(app, function(port)
      local reports <close> = keep_reports()
      local res = assert(ml.http.get("http://127.0.0.1:" .. port))
      assert.equal(503, res.status)
      assert.equal("Service Unavailable", res:json().detail)
      assert.is_true(tonumber(res.headers["retry-after"]) >= 1)
      assert.matches("too many passwords wait", reports:text())
    end)
  end)
end)

it("hashes in the workers of the executor, too", function()
  local pool <close> = ml.executor.new { threads = 1 }
  assert.is_true(pool:run(function(text)
    local password = require "moonloop".password
    return password.verify("correct horse", text)
  end, CURRENT))
end)

it("ends a program at once that does not wait for its hash", function()
  local output, status = require "spec.support.process".run [[
    local ml = require "moonloop"
    for _ = 1, 50 do ml.spawn(ml.password.hash, "x") end
    ml.sleep(0)
    print "over"
    os.exit(3)
  ]]
  assert.equal("over\n", output)
  assert.equal(3, status)
end)
