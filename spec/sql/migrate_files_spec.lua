-- Folders of migrations: which files there are, and what is wrong with them.
local files = require "moonloop.sql.migrate_files"
local folders = require "spec.support.folder"

-- Reads the files in a folder for SQLite; or the message of what is wrong, with DIR for the folder.
local function read(entries, dialect)
  local folder <close> = folders.new(entries)
  local ok, result = pcall(files.read, folder.path, dialect or "sqlite")
  if ok then return result end
  return (result.message:gsub(folder.path:gsub("%p", "%%%0"), "DIR"))
end

local function names(list)
  local result = {}
  for i, migration in ipairs(list) do result[i] = migration.name .. (migration.elsewhere and " elsewhere" or "") end
  return result
end

describe("the files of migrations", function()
  it("are in the order of their numbers", function()
    local list = read { ["9_b.sql"] = "x",
      ["10_a.up.sql"] = "x", ["08_c.sql"] = "x", ["README.md"] = "", [".0_x.sql"] = "" }
    assert.same({ "08_c", "9_b", "10_a" }, names(list))
    list = read { ["20261128101500_b.sql"] = "x", ["20250101000000_a.sql"] = "x", ["0007_z.sql"] = "x" }
    assert.same({ "0007_z", "20250101000000_a", "20261128101500_b" }, names(list))
  end)

  it("have what undoes them behind '-- down', or in a file of its own", function()
    local list = read { ["1_a.sql"] = "up 1;\nup 2\n-- down\n\ndown 1",
      ["2_b.up.sql"] = "up", ["2_b.down.sql"] = "\ndown" }
    assert.equal("up 2", list[1].up.statements[2].text)
    assert.same({ text = "down 1", line = 5, keyword = "down", second = "1", unfinished = true },
      list[1].down.statements[1])
    assert.equal(2, list[2].down.statements[1].line)
    assert.is_nil(read { ["1_a.sql"] = "up -- down" }[1].down)
  end)

  it("are for one database where their names say so", function()
    local entries = { ["1_a.sql"] = "both", ["1_a.pg.sql"] = "pg",
      ["2_b.up.pg.sql"] = "x", ["3_c.up.sqlite.sql"] = "x" }
    local here, there = read(entries, "sqlite"), read(entries, "postgres")
    assert.same({ "1_a", "2_b elsewhere", "3_c" }, names(here))
    assert.same({ "1_a", "2_b", "3_c elsewhere" }, names(there))
    assert.equal("both", here[1].up.text)
    assert.equal("pg", there[1].up.text)
  end)

  it("have the same hash with either kind of line ends, and whatever undoes them", function()
    local a, b = read { ["1_a.sql"] = "x\ny\n-- down\nz" }[1], read { ["1_a.sql"] = "x\r\ny\r\n-- down\r\nw" }[1]
    assert.equal(a.sha256, b.sha256)
    assert.equal("09834d488008f5f1ef589a2d7cedc52425bee9dd23b2212e4c1d673c5cbb54e4", a.sha256)
    assert.not_equal(a.sha256, read { ["1_a.sql"] = "x\ny \n" }[1].sha256)
  end)

  it("are outside of a transaction where the first line says so", function()
    local list = read { ["1_a.sql"] = "-- no-transaction\nx\n-- down\ny", ["2_b.sql"] = "x\n-- no-transaction\n" }
    assert.is_false(list[1].up.transaction)
    assert.is_false(list[1].down.transaction)
    assert.is_true(list[2].up.transaction)
  end)

  it("are refused with what is wrong and what to do", function()
    assert.equal("DIR/add.sql is no name of a migration: they are called NUMBER_NAME.up.sql and .down.sql, or " ..
      "NUMBER_NAME.sql, with .pg or .sqlite before .sql for one database alone", read { ["add.sql"] = "x" })
    assert.equal("1_a and 1_b in DIR have the same number: give one of them another",
      read { ["1_b.sql"] = "x", ["1_a.sql"] = "x" })
    assert.equal("0004_b in DIR follows 0002_a: number 0003 is missing",
      read { ["0002_a.sql"] = "x", ["0004_b.sql"] = "x" })
    assert.equal("DIR/1_a.down.sql undoes what nothing does: there is no 1_a.up.sql", read { ["1_a.down.sql"] = "x" })
    assert.equal("the migration 1_a has DIR/1_a.sql, and DIR/1_a.up.sql too: keep one of the two ways",
      read { ["1_a.sql"] = "x", ["1_a.up.sql"] = "x" })
    assert.equal("DIR/1_a.up.sql has a line '-- down', and there is DIR/1_a.down.sql, too: keep one of the two",
      read { ["1_a.up.sql"] = "x\n-- down\n", ["1_a.down.sql"] = "x" })
    assert.equal("DIR/1_a.sql has two lines '-- down': one, please",
      read { ["1_a.sql"] = "x\n-- down\ny\n-- down\nz" })
    assert.equal("DIR/1_a.sql has no statement: write one, or take the file away",
      read { ["1_a.sql"] = "-- nothing\n" })
    local ok, err = pcall(files.read, "/nowhere", "sqlite")
    assert.is_false(ok)
    assert.equal("cannot read the folder of migrations '/nowhere': No such file or directory ('moonloop migrate new " ..
      "NAME' makes the first one)", err.message)
  end)

  it("get the next number, or the time where the numbers are times", function()
    assert.equal("0001", files.next_number({}, 0))
    assert.equal("0010", files.next_number({ { number = "0009" } }, 0))
    assert.equal("20261128101500", files.next_number({ { number = "20250101000000" } }, 1795860900))
  end)
end)
