-- ml.web.templates: what templates can do, and how they fail.
local ml = require "moonloop"
local lfs = require "lfs"
local folders = require "spec.support.folder"
local support = require "spec.support.web"

--- The templates of a folder with these files. The folder is gone when the spec is over.
local opened = {}
local function templates(files, opts)
  local folder = folders.new {}
  for name, text in pairs(files) do
    local below = name:match "^(.*)/"
    if below then lfs.mkdir(folder.path .. "/" .. below) end
    folders.write(folder.path .. "/" .. name, text)
  end
  opened[#opened + 1] = folder
  return ml.web.templates(folder.path, opts), folder.path
end

local function render(text, values, opts) return templates({ ["page.html"] = text }, opts):render("page.html",
  values) end

--- The message of the error for files with a mistake, without the folder.
local function refusal(files)
  local folder <close> = folders.new(type(files) == "string" and { ["page.html"] = files } or files)
  local ok, err = pcall(ml.web.templates, folder.path)
  assert.is_false(ok)
  assert.equal("template", err.kind)
  return (err.message:gsub(folder.path:gsub("%p", "%%%0") .. "/", ""))
end

after_each(function()
  for _, folder in ipairs(opened) do folder.close() end
  opened = {}
end)

describe("a template", function()
  it("has text, values, code and comments", function()
    assert.equal("<p>1 &lt;b&gt; <i></p>", render("<p><%= 1 %> <%= b %> <%- i %><%# no %></p>", { b = "<b>",
      i = "<i>" }))
    assert.equal("123", render "<% for i = 1, 3 do %><%= i %><% end %>")
    assert.equal("<% is how it begins", render "<%% is how it begins")
    assert.equal("%>", render [[<%- "%>" -- a comment %>]])
    assert.equal("ab", render "a<%# a comment\nof two lines %>b")
  end)

  it("leaves out lines with nothing but a tag of code", function()
    assert.equal("a\n  1\n  2\nb\n", render "a\n<% for i = 1, 2 do %>\n  <%= i %>\n  <% end %>\n<%# x %>\nb\n")
    assert.equal("a\r\nb", render "a\r\n<% local x %>\r\nb")
    assert.equal("  x\n", render "  <% local a %>x\n")
  end)

  it("has its values as globals, with a part of Lua's library", function()
    assert.equal("A 2", render("<%= string.upper(name) %> <%= #list %>", { name = "a", list = { 1, 2 } }))
    assert.error_matches(function() render "<% io.open('x') %>" end, "global 'io'")
    assert.equal("hi 2", render("<%= greet() %> <%= n %>", { n = 2 },
      { globals = { greet = function() return "hi" end } }))
    local object = setmetatable({ own = 1 }, { __index = { inherited = 2 } })
    assert.equal("1 2 table", render("<%= own %> <%= inherited %> <%= type(string) %>", object))
  end)

  it("does not change the values it is given", function()
    local values = { a = 1 }
    assert.equal("2", render("<% a = 2; b = 3 %><%= a %>", values))
    assert.same({ a = 1 }, values)
  end)

  it("raises what is wrong with a value at its own line", function()
    local t, path = templates { ["a.html"] = "one\n<% local x = 1 %>\n<p>\n<%= missing %>\n" }
    local err = select(2, pcall(t.render, t, "a.html"))
    assert.equal(path .. '/a.html:4: this value is nil (write <%= value or "" %> where it may be absent)', err)
    t, path = templates { ["a.html"] = "\n\n<%= user.name %>" }
    err = select(2, pcall(t.render, t, "a.html"))
    assert.equal(path .. "/a.html:3: attempt to index a nil value (global 'user')", err)
    assert.error_matches(function() render("<%= v %>", { v = {} }) end, "this value is a table")
    assert.error_matches(function() render("<%= v %>", { v = ml.json.null }) end, "this value is null")
    assert.equal("true 1.5 text", render("<%= true %> <%= 1.5 %> <%= v %>",
      { v = setmetatable({}, { __tostring = function() return "text" end }) }))
  end)

  it("keeps the lines of Lua's errors after blocks, comments and long strings", function()
    local t, path = templates { ["a.html"] =
      "<%# x\ny %>\n<% block 'b' %>\n  x\n<% end %>\n<% local s = [[\n\n]] --[[\n]] %>\n"
      .. "<%= error 'here' %>" }
    assert.equal(path .. "/a.html:10: here", select(2, pcall(t.render, t, "a.html")))
  end)

  it("may wait", function()
    assert.equal("ab", render("a<% sleep(0) %>b", { sleep = ml.sleep }))
  end)
end)

describe("functions of a template", function()
  it("return their text, which is not escaped again", function()
    assert.equal("<b>&lt;</b>|<b>2</b>", render(
      "<% local function bold(v) %><b><%= v %></b><% end %><%= bold '<' %>|<%= bold(2) %>"))
  end)

  it("are text like any other in an attribute, a script and a comment", function()
    local bold = "<% local function bold(v) %><b><%= v %></b><% end %>"
    assert.equal('<i title="&lt;b&gt;1&lt;/b&gt;">', render(bold .. '<i title="<%= bold(1) %>">'))
    assert.equal([[<script>x = "\u003cb\u003e1\u003c\/b\u003e"</script>]], render(bold
      .. "<script>x = <%= bold(1) %></script>"))
  end)

  it("are taken from other files by import, which runs these once", function()
    local t = templates {
      ["form.html"] =
        "ignored <% function field(name, value) %><input name=\"<%= name %>\" value=\"<%= value %>\"><% end %>",
      ["page.html"] = "<% local form = import 'form.html' %><%= form.field('a', '\"') %>",
    }
    for _ = 1, 2 do assert.equal('<input name="a" value="&quot;">', t:render "page.html") end
  end)

  it("without text are functions of Lua", function()
    assert.equal("3", render "<% local function add(a, b) return a + b end %><%= add(1, 2) %>")
    assert.matches("page.html:2: a function with text returns its text",
      refusal "<% local function f() %>\n<% if x then return 1 end %>\ntext<% end %>")
  end)
end)

describe("includes", function()
  it("have the values of the page, and their own before these", function()
    local t = templates {
      ["page.html"] = "<% local x = 5 %><% include 'parts/row.html' %><% include('parts/row.html', { v = x }) %>",
      ["parts/row.html"] = "<%= v %><%= w %>;",
    }
    assert.equal("12;52;", t:render("page.html", { v = 1, w = 2 }))
  end)

  it("may include themselves", function()
    local t = templates { ["tree.html"] =
      "<li><%= name %><% for _, child in ipairs(children) do include('tree.html', child) end %></li>" }
    assert.equal("<li>a<li>b</li></li>", t:render("tree.html", { name = "a", children = { { name = "b",
      children = {} } } }))
  end)

  it("stand in text only", function()
    assert.equal("page.html:2: 'include' cannot stand in the attribute 'title'", refusal {
      ["page.html"] = "\n<p title=\"<% include 'row.html' %>\">", ["row.html"] = "x" })
    assert.matches("page.html:1: include: there is no template 'rwo.html' in .- %(did you mean 'row.html'%?%)",
      refusal {
      ["page.html"] = "<% include 'rwo.html' %>", ["row.html"] = "x" })
    assert.error_matches(function() render "<% local name = 'x' include(name) %>" end, "there is no template 'x'")
  end)
end)

describe("layouts", function()
  local base = "<title><% block 'title' %>Shop<% end %></title><h1><%= heading %></h1>"
    .. "<% block 'content' %>none<% end %>."

  it("have the blocks and the text of the page", function()
    local t = templates { ["base.html"] = base,
      ["page.html"] =
        "<% layout('base.html', { heading = name .. '!' }) %><% block 'title' %><%= name %><% end %><p>text</p>",
      ["plain.html"] = "<% layout 'base.html' %>x",
    }
    assert.equal("<title>&lt;</title><h1>&lt;!</h1><p>text</p>.", t:render("page.html", { name = "<" }))
    assert.equal("<title>Shop</title><h1>H</h1>x.", t:render("plain.html", { heading = "H" }))
    assert.equal("<title>Shop</title><h1>H</h1>none.", t:render("base.html", { heading = "H" }))
  end)

  it("may have layouts", function()
    local t = templates { ["base.html"] = base,
      ["middle.html"] = "<% layout 'base.html' %><% block 'title' %>Middle<% end %>(<% block 'side' %>side<% end %>)",
      ["page.html"] = "<% layout 'middle.html' %>",
    }
    -- A block of a template with a layout is for the layout; its content is its text.
    assert.equal("<title>Middle</title><h1>1</h1>().", t:render("page.html", { heading = 1 }))
  end)

  it("are checked when they are read", function()
    assert.matches("a.html: its layouts go round in a circle", refusal {
      ["a.html"] = "<% layout 'b.html' %>", ["b.html"] = "<% layout 'a.html' %>" })
    assert.matches("page.html:1: layout: there is no template 'x'", refusal "<% layout 'x' %>")
    assert.matches("page.html:2: 'layout' has to be the first tag", refusal "x\n<% layout 'x' %>")
    assert.matches("page.html:3: a block cannot stand in the attribute 'title'",
      refusal "\n\n<p title=\"<% block 'x' %><% end %>\">")
    assert.matches("page.html:1: there are two blocks 'x'", refusal "<% block 'x' %><% end %><% block 'x' %><% end %>")
  end)
end)

describe("mistakes in templates", function()
  for text, message in pairs {
    ["a\n<% if x then %>\nb"] = "page.html:2: this 'if' has no 'end'",
    ["\n<% block 'a\\nb' %>"] = "page.html:2: this 'block' has no 'end'",
    ["\n<% for i = 1 %>a<% end %>"] = "page.html:2: this 'for' has no 'do'",
    ["\n<% local function f %>a<% end %>"] = "page.html:2: this 'function' has no parameters",
    ["\n<% include '\\q' %>"] = "page.html:2: invalid escape sequence near ''\\q'",
    ["a\n<% end %>"] = "page.html:2: 'end' closes nothing",
    ["\n<% local = 1 %>"] = "page.html:2: <name> expected near '='",
    ["\n<%= 1 +  %>"] = "page.html:2: unexpected symbol near ')'",
    ["\n\n<%= %>"] = "page.html:3: a value is missing",
    ["\n<% x = 'abc %>"] = "page.html:2: this <% has a string without an end",
    ["\n<% x = 1"] = "page.html:2: this <% has no '%>'",
    ["<p title=\"\n"] = "page.html:2: the template ends in the attribute 'title'",
    ["<% return %>"] = "page.html:1: a template has no 'return': write 'if ... then' around what follows",
    ["<% else %>"] = "page.html:1: 'else' is not in an 'if'",
    ["<% if x then %>a\n<% else %>\"<a href='<% end %>"] =
      "page.html:2: the branches of the 'if' in line 1 leave off in different places: "
        .. "in the text, and in the attribute 'href'",
    ["<% for i = 1, 2 do %><a href='<% end %>"] = "page.html:1: the body of the 'for' in line 1 begins in one place "
      .. "and ends in another: in the text, and in the attribute 'href'",
    ["<% goto on %><b <% ::on:: %>>"] =
      "page.html:1: 'goto on' leads from one place to another: in the text, and in the tag <b>",
  } do
    it("are told with the line: " .. message, function() assert.equal(message, refusal(text)) end)
  end

  it("are told all at once", function()
    assert.matches("^2 errors in the templates of .-:\n  a.html:1: .-\n  b.html:1: ", refusal {
      ["a.html"] = "<%= %>", ["b.html"] = "<% if x then %>", ["c.html"] = "fine" })
  end)

  it("are misuses of its words", function()
    assert.error_matches(function() render "<%= include 'x' %>" end, "'include' is no function")
  end)
end)

describe("a folder of templates", function()
  it("has those in folders below, and nothing outside", function()
    local t = templates { ["a.html"] = "a", ["sub/b.html"] = "b", ["c.css"] = "c" }
    assert.equal("b", t:render "sub/b.html")
    for _, name in ipairs { "../a.html", "sub/../a.html", "/etc/passwd", "c.css", "./a.html", "" } do
      assert.error_matches(function() t:render(name) end, "there is no template")
    end
  end)

  it("has plain texts, which are not escaped, and XML", function()
    local t = templates { ["mail.txt"] = "Dear <%= name %>,", ["feed.xml"] = "<title><%= name %></title><script/>",
      ["page.html"] = "<% include 'mail.txt' %>" }
    assert.equal("Dear <a & b>,", t:render("mail.txt", { name = "<a & b>" }))
    assert.equal("<title>&lt;a&gt;</title><script/>", t:render("feed.xml", { name = "<a>" }))
    assert.error_matches(function() t:render("page.html", { name = "<" }) end, "text of another kind")
  end)

  it("that is not there is an error", function()
    local err = select(2, pcall(ml.web.templates, "no/such/folder"))
    assert.equal("template", err.kind)
    assert.matches("cannot read the folder of templates 'no/such/folder': No such file", err.message)
  end)

  it("is read again with reload", function()
    local folder <close> = folders.new { ["a.html"] = "one" }
    local t, fixed = ml.web.templates(folder.path, { reload = true }), ml.web.templates(folder.path)
    assert.equal("one", t:render "a.html")
    folders.write(folder.path .. "/a.html", "<%= 1 %")
    assert.error_matches(function() t:render "a.html" end, "a.html:1: this <%%= has no '%%>'")
    folders.write(folder.path .. "/a.html", "two")
    folders.write(folder.path .. "/b.html", "three")
    assert.equal("two", t:render "a.html")
    assert.equal("three", t:render "b.html")
    assert.equal("one", fixed:render "a.html")
  end)
end)

describe("a stream", function()
  local files = { ["base.html"] = "<h1>x</h1><% flush() %><% block 'content' %><% end %>",
    ["page.html"] = "<% layout 'base.html' %><% local function cell(i) %><td><%= i %></td><% flush() %><% end %>"
      .. "<% for i = 1, n do %><tr><%= cell(i) %></tr><% end %>" }

  it("writes the same text in pieces", function()
    local t, pieces = templates(files), {}
    t:stream("page.html", { n = 1000 }, { write = function(_, text) pieces[#pieces + 1] = text end })
    assert.equal("<h1>x</h1>", pieces[1])
    assert.is_true(#pieces > 5 and #pieces < 50)
    assert.equal(t:render("page.html", { n = 1000 }), table.concat(pieces))
  end)

  it("is a response's", function()
    local t, app = templates(files), ml.web.app()
    app:get("/", function()
      return ml.web.response { headers = { ["Content-Type"] = "text/html" }, stream = function(out)
        t:stream("page.html", { n = 3 }, out)
      end }
    end)
    app:get("/page", function() return ml.web.page(t, "page.html", { n = 3 }, 404) end)
    support.serving(app, function(port)
      local body = "<h1>x</h1><tr><td>1</td></tr><tr><td>2</td></tr><tr><td>3</td></tr>"
      assert.equal(body, support.get(port, "/").body)
      local res = support.get(port, "/page")
      assert.same({ 404, body, "text/html; charset=utf-8" }, { res.status, res.body, res.headers["content-type"] })
    end)
  end)
end)

describe("doc/templates.md", function()
  local doc = folders.read "doc/templates.md"

  it("has templates and code that work together", function()
    local folder <close> = folders.new {}
    lfs.mkdir(folder.path .. "/views")
    for name, text in doc:gmatch "\n```html\n<!%-%- (views/%S+) %-%->\n(.-)\n```" do
      folders.write(folder.path .. "/" .. name, text)
    end
    folders.write(folder.path .. "/views/price.html", "<%= amount %>")
    folders.write(folder.path .. "/views/import.html", (doc:match '\n```html\n(<%% local form.-)\n```'))
    folders.write(folder.path .. "/views/safe.html", (doc:match '\n```html\n(<a href.-)\n```'))
    folders.write(folder.path .. "/app.lua", (doc:match "\n```lua\n%-%- app.lua\n(.-)\n```") .. "\nreturn app")
    local app = ml.web.load(folder.path .. "/app.lua")
    support.serving(app, function(port)
      assert.matches('<li class="new"><a href="/items/1">lamp</a></li>', support.get(port, "/").body)
    end)
    local views = ml.web.templates(folder.path .. "/views")
    assert.matches('<title>a</title>.-class="dark".-<h1>a</h1>\n5',
      views:render("item.html", { item = { name = "a", price = 5 } }))
    assert.matches('name="email" value="a@b.example"', views:render("import.html", { email = "a@b.example" }))
    assert.matches('<a href="about:invalid#unsafe"', views:render("safe.html",
      { url = "javascript:x", name = "", item = {}, color = "red" }))
  end)

  it("has code that compiles", function()
    for text in doc:gmatch "\n```lua\n(.-)\n```" do assert(load(text)) end
  end)
end)

describe("wrong arguments", function()
  it("are errors of the caller's line", function()
    local t = templates { ["a.html"] = "a" }
    for message, f in pairs {
      ["bad argument #1 to 'ml.web.templates' %(string expected, got nil%)"] = function() ml.web.templates() end,
      ["unknown option 'relaod' .- %(did you mean 'reload'"] = function() ml.web.templates(".", { relaod = true }) end,
      ["bad argument #1 to 'templates:render' %(string expected"] = function() t:render() end,
      ["bad argument #2 to 'templates:render' %(table expected"] = function() t:render("a.html", 1) end,
      ["bad argument #3 to 'templates:stream'"] = function() t:stream("a.html", {}) end,
      ["bad argument #1 to 'ml.web.page'"] = function() ml.web.page({}, "a.html") end,
      ["bad argument #4 to 'ml.web.page'"] = function() ml.web.page(t, "a.html", {}, "200") end,
      ["there is no template 'b.html' in .- %(did you mean 'a.html'%?%)"] = function() t:render "b.html" end,
    } do
      local err = select(2, pcall(f))
      assert.matches("web_templates_spec.lua:%d+: .-" .. message, tostring(err))
    end
  end)
end)
