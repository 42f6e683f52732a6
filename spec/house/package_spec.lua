-- What packages have beside the program: completions for three shells, the manual page, the systemd units.
local folders = require "spec.support.folder"
local ml = require "moonloop"
local processes = require "spec.support.process"
local support = require "spec.support"

local quote = processes.quote
local binary = quote(support.binary)

local function needs(program)
  if not os.execute(("command -v %s >/dev/null"):format(program)) then pending("this machine has no " .. program) end
end

local function completions()
  local folder = folders.new {}
  local output, status = processes.sh(("%s run --block-limit 0 scripts/package/completions.lua %s %s"):format(
    binary, binary, quote(folder.path)))
  assert.equal("", output)
  assert.equal(0, status)
  return folder
end

-- Every command and option that the help shows.
local function known()
  local found = {}
  for command in processes.sh(binary .. " help"):match "\nCommands:\n(.-)\n\n":gmatch "%f[^\n]  (%l+) " do
    found[command] = {}
    for option in processes.sh(binary .. " help " .. command):gmatch "\n  (%-%-[%w-]+)" do
      found[command][option] = true
    end
  end
  assert.is_table(found.serve)
  return found
end

describe("completions", function()
  it("have every command and option of the help, for each shell", function()
    local folder <close> = completions()
    local bash, zsh = folders.read(folder.path .. "/moonloop.bash"), folders.read(folder.path .. "/_moonloop")
    local fish = folders.read(folder.path .. "/moonloop.fish")
    for command, options in pairs(known()) do
      assert.truthy(bash:find("  " .. command .. ") ", 1, true), command)
      assert.truthy(zsh:find("'" .. command .. ":", 1, true), command)
      assert.truthy(fish:find("-a " .. command .. " ", 1, true), command)
      for option in pairs(options) do
        assert.truthy(bash:find("\n  " .. command .. "%) [^\n]*" .. option:gsub("%-", "%%-") .. "[ \"]"), option)
        assert.truthy(zsh:find("'*" .. option .. "[", 1, true), option)
        assert.truthy(fish:find("from " .. command .. "' -l " .. option:sub(3) .. " ", 1, true), option)
      end
    end
  end)

  it("complete in bash", function()
    local folder <close> = completions()
    local function complete(...)
      local words = { ... }
      for i, word in ipairs(words) do words[i] = quote(word) end
      local script = ("source %s/moonloop.bash; COMP_WORDS=(moonloop %s); COMP_CWORD=%d; _moonloop;")
        :format(folder.path, table.concat(words, " "), #words)
        .. ' printf "%s\\n" "${COMPREPLY[@]}" | sort | tr "\\n" " "'
      return (processes.sh(("cd %s && bash -c %s"):format(quote(folder.path), quote(script))))
    end
    assert.equal("serve ", complete "ser")
    assert.equal("--workers ", complete("serve", "--work"))
    assert.equal("auto ", complete("serve", "--workers", ""))
    assert.equal("common json ", complete("serve", "--access-log", ""))
    assert.equal("json terminal text ", complete("dev", "--log-format", ""))
    assert.equal("debug error info warn ", complete("work", "--log-level", ""))
    assert.equal("clear false true ", complete("serve", "--http2", ""))
    assert.equal("cancelled dead done ready running scheduled ", complete("jobs", "--state", ""))
    assert.equal("api library page worker ", complete("new", "--template", ""))
    assert.equal("cancel list retry stats ", complete("jobs", ""))
    assert.equal("jobs ", complete("help", "jo"))
    for _, words in ipairs { { "jobs", "moon" }, { "db", "moon" }, { "migrate", "up", "moon" }, { "new", "moon" } } do
      assert.equal(" ", complete(table.unpack(words)), words[1]) -- no files
    end
    assert.equal("moonloop.bash moonloop.fish ", complete("migrate", "check", "moon"))
    assert.equal("moonloop.bash moonloop.fish ", complete("serve", "--inspect", "moon")) -- its value is behind a =
    assert.equal("status ", complete("migrate", "stat"))
    assert.equal("moonloop.bash moonloop.fish ", complete("serve", "moon"))
  end)

  it("complete in fish", function()
    needs "fish"
    local folder <close> = completions()
    local function complete(line)
      return (processes.sh(("cd / && HOME=%s fish --no-config -c %s"):format(quote(folder.path),
        quote(("source %s/moonloop.fish; complete -C '%s'"):format(folder.path, line)))))
    end
    assert.matches("^serve\t", complete "moonloop ser")
    assert.matches("^%-%-workers\t", complete "moonloop serve --worker")
    assert.equal("auto\n", complete "moonloop serve --workers a")
    assert.equal("api\nlibrary\npage\nworker\n", complete "moonloop new --template ")
    assert.equal("--template\twhat it begins with\n", complete "moonloop new --tem")
    assert.equal("cancel\nlist\nretry\nstats\n", complete "moonloop jobs ")
    assert.equal("dead\ndone\n", complete "moonloop jobs list --state d")
    assert.equal("", complete "moonloop jobs retry ")
    assert.matches("tmp/", complete "moonloop serve ")
  end)

  it("are zsh's own syntax", function()
    needs "zsh"
    local folder <close> = completions()
    assert.equal("", (processes.sh(("zsh -n %s/_moonloop"):format(folder.path))))
    -- In a shell without a terminal there is no completion; what it would be called with must be there.
    local output = processes.sh(("zsh -fc %s"):format(quote(
      ("autoload -Uz compinit; fpath=(%s $fpath); compinit -u -D; print $_comps[moonloop]"):format(folder.path))))
    assert.equal("_moonloop\n", output)
  end)
end)

describe("the manual page", function()
  it("is made from the page of the command line, with all of its options", function()
    needs "scdoc"
    local output, status = processes.sh(("%s scripts/package/man.lua doc/reference/command-line.md 1.2.3 | scdoc")
      :format(binary))
    assert.equal(0, status)
    assert.matches('%.TH "moonloop" "1" [^\n]*"moonloop 1%.2%.3"', output)
    local text = output:gsub("\\fB", ""):gsub("\\fR", ""):gsub("\\%-", "-"):gsub("\\&", "")
    for command, options in pairs(known()) do
      assert.truthy(text:find("moonloop " .. command, 1, true), command)
      for option in pairs(options) do assert.truthy(text:find(option, 1, true), option) end
    end
  end)
end)

describe("the systemd unit", function()
  for _, name in ipairs { "moonloop@", "moonloop-work@" } do
    local file = name .. ".service"
    it(("%s is accepted by systemd"):format(file), function()
      needs "systemd-analyze"
      local unit = folders.read("scripts/package/" .. file):gsub("/usr/bin/moonloop", "/bin/true")
        :gsub("Documentation=[^\n]*\n", "") -- there is no manual page here
      local folder <close> = folders.new { [name .. "shop.service"] = unit }
      local output, status = processes.sh(("systemd-analyze verify '%s/%sshop.service'"):format(folder.path, name))
      assert.same({ "", 0 }, { output, status })
    end)

    it(("%s is below 2 in systemd's rating of exposure"):format(file), function()
      needs "systemd-analyze"
      local output, status = processes.sh("systemd-analyze security --offline=true --threshold=20 scripts/package/" ..
        file)
      assert.equal(0, status, output)
    end)
  end

  it("for jobs has the user and the folder of the one that serves, and is in the package", function()
    local function setting(file, key) return folders.read(file):match("\n" .. key .. "=([^\n]+)") end
    for _, key in ipairs { "User", "StateDirectory", "EnvironmentFile" } do
      local own = assert(setting("scripts/package/moonloop-work@.service", key))
      assert.equal(setting("scripts/package/moonloop@.service", key), own, key)
    end
    assert.truthy(folders.read "cmake/package.cmake":find("/moonloop-work@.service ", 1, true))
  end)
end)

describe("the list of what is in the program", function()
  it("has every library that is linked in, needed or loaded", function()
    if not support.binary:find("/release/", 1, true) then pending "another build" end
    needs "dpkg-query"
    local folder = support.binary:match "^(.*)/"
    local output, status = processes.sh(("%s run --block-limit 0 scripts/package/sbom.lua %s"):format(binary,
      quote(folder)))
    assert.equal(0, status, output)
    local list = ml.json.decode(output)
    assert.same({ "CycloneDX", "1.5", "moonloop" }, { list.bomFormat, list.specVersion, list.metadata.component.name })
    assert.equal(folders.read "CMakeLists.txt":match "VERSION ([%d.]+) LANGUAGES", list.metadata.component.version)
    local parts = {}
    for i, part in ipairs(list.components) do
      parts[part["bom-ref"]] = part
      assert.equal(part["bom-ref"], list.dependencies[1].dependsOn[i])
      assert.is_true(part.scope == "optional" or part.version ~= nil, part.name)
    end
    for name in folders.read(folder .. "/CMakeFiles/moonloop.dir/link.txt"):gmatch "%s/%S*/([%w._-]+)%.a" do
      if name ~= "libmoonloop_internal" then assert.matches("^%x+$", parts["static:" .. name].hashes[1].content) end
    end
    assert.is_table(parts["static:llhttp"])
    -- tsan.c asks for what is there anyway, and is empty here.
    for name in processes.sh("cat $(find host -name '*.c' ! -name tsan.c)"):gmatch '"(lib[%w%-]+%.so%.%d+)"' do
      assert.equal("optional", parts["shared:" .. name].scope)
    end
    for name in processes.sh("readelf -dW " .. binary):gmatch "Shared library: %[([^%]]+)%]" do
      assert.is_table(parts["shared:" .. name], name)
    end
  end)
end)
