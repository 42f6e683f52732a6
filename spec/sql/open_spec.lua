-- ml.sql.open: URLs and options. Nothing is connected to.
local ml = require "moonloop"
local folders = require "spec.support.folder"
local process = require "spec.support.process"
local support = require "spec.support"

local function message(...)
  local ok, err = pcall(ml.sql.open, ...)
  assert.is_false(ok)
  return tostring(err)
end

describe("ml.sql.open", function()
  it("says what is wrong with a URL, without its password", function()
    assert.matches("the URL of a database expected, such as sqlite:app.db, got nil", message(nil), 1, true)
    assert.matches("'app.db' is not the URL of a database: it begins with neither postgres:// nor sqlite:",
      message "app.db", 1, true)
    assert.matches("there is no driver for MySQL", message "mysql://root@localhost/a", 1, true)
    assert.matches("two slashes", message "postgres:app", 1, true)
    assert.matches("the path of its file is missing", message "sqlite:", 1, true)
    assert.matches("unknown parameter 'sync' of an SQLite database", message "sqlite:a.db?sync=full", 1, true)
    assert.matches("synchronous is 'fast' (expected one of extra, full, normal, off)",
      message "sqlite:a.db?synchronous=fast", 1, true)
    local text = message "mysql://me:secret@localhost/a"
    assert.not_matches("secret", text, 1, true)
    assert.matches("mysql://me:***@localhost/a", text, 1, true)
    text = message "mysql://me@localhost/a?password=secret&sslpassword=secret&x=1"
    assert.matches("a?password=***&sslpassword=***&x=1", text, 1, true)
  end)

  it("shows no part of a password that is not encoded, or behind an unknown scheme", function()
    for _, url in ipairs { "postgres://me:se@cret@localhost/a", "postgres://me:se/cret@localhost/a" } do
      local text = message(url)
      assert.matches("'postgres://me:***@localhost/a' is not the URL of a database: in its user and password @ is " ..
        "written %40", text, 1, true)
      assert.not_matches("cret", text, 1, true)
    end
    assert.matches("'postgresql+asyncpg://me:***@localhost/a'", message "postgresql+asyncpg://me:secret@localhost/a",
      1, true)
    ml.sql.open("postgres://me:se%40cret@localhost:1,other:2/a?application_name=a@b"):close()
  end)

  it("says what is wrong with an option", function()
    assert.matches("unknown option 'pol' of ml.sql.open (did you mean 'pool'?)",
      message("sqlite:a.db", { pol = 1 }), 1, true)
    assert.matches("option 'pool' of ml.sql.open is 0 (expected an integer from 1 to 1000)",
      message("sqlite:a.db", { pool = 0 }), 1, true)
    assert.matches("option 'timeout' of ml.sql.open is -1", message("sqlite:a.db", { timeout = -1 }), 1, true)
    assert.matches("option 'numeric' of ml.sql.open", message("sqlite:a.db", { numeric = "float" }), 1, true)
    assert.matches("open_spec.lua:%d+:", message("sqlite:a.db", { pool = 0 }))
  end)

  it("says which library is missing, and where the database is opened", function()
    local place <close> = folders.new { ["libpq.so.5"] = "", ["libsqlite3.so.0"] = "" } -- found first, and no libraries
    for url, words in pairs {
      ["postgres://me@localhost/a"] = "PostgreSQL's client library cannot be loaded (Debian: libpq5)",
      ["sqlite::memory:"] = "SQLite cannot be loaded (Debian: libsqlite3-0)",
    } do
      local script <close> = folders.file(("require('moonloop').sql.open %q"):format(url))
      local output, status = process.sh(("LD_LIBRARY_PATH='%s' %s run %s"):format(place.path,
        process.quote(support.binary), script.path))
      assert.equal(1, status)
      assert.matches(script.path .. ":1: ml.sql.open: " .. words, output, 1, true)
      assert.not_matches("is not the URL", output, 1, true)
    end
  end)

  it("opens a database in memory", function()
    local db = ml.sql.open "sqlite::memory:"
    assert.equal(1, db:value "select 1")
    db:close()
  end)
end)
