-- What a value becomes in each place of HTML, which places it may not have, and that no value leaves its place.
local ml = require "moonloop"
local compile = require "moonloop.web.template.compile"
local markup = require "spec.support.markup"

local rendering = { most = math.huge }
rendering.quiet = rendering

local function run(template, values)
  local pieces = {}
  return table.concat(pieces, "", 1, template.main(values, pieces, 0, rendering))
end

local function render(text, v)
  local template, problem = compile(text, "html", "t.html")
  if not template then error(problem.message, 0) end
  return run(template, { v = v })
end

describe("a value", function()
  --- What stands for the value in the text.
  local function at(text, v)
    local before, after = text:match "^(.*)<%%= v %%>(.*)$"
    local got = render(text, v)
    assert.equal(before, got:sub(1, #before))
    assert.equal(after, got:sub(#got - #after + 1))
    return got:sub(#before + 1, #got - #after)
  end

  local evil = [[<b>"'&]]

  it("is escaped in text, titles, attributes and comments", function()
    local escaped = "&lt;b&gt;&quot;&#39;&amp;"
    for _, text in ipairs { "<p><%= v %></p>", "<title><%= v %></title>", "<textarea><%= v %></textarea>", "<%= v %>",
      '<p title="<%= v %>">', "<p title='<%= v %>'>", "a < b <%= v %>", "<!-- x --><%= v %>", "<!--><%= v %>" } do
      assert.equal(escaped, at(text, evil))
    end
    assert.equal("&#45;&#45;&gt;", at("<!-- <%= v %> -->", "-->"))
    assert.equal("&amp;lt;b&amp;gt;", at('<iframe srcdoc="<%= v %>"></iframe>', "<b>"))
  end)

  it("is JSON in scripts and in handlers of events", function()
    assert.equal([["\u003c\/script\u003e"]], at("<script>x = <%= v %>;</script>", "</script>"))
    assert.equal([[{"a":[1,2]}]], at("<script>f(<%= v %>)</script>", { a = { 1, 2 } }))
    assert.equal(" null ", at("<script>f(<%= v %>)</script>", nil))
    assert.equal(" -1 ", at("<script>a -<%= v %></script>", -1))
    assert.equal([["\u2028"]], at("<script type='application/json'><%= v %></script>", "\u{2028}"))
    assert.equal([["*\/"]], at("<script>/* <%= v %> */</script>", "*/"))
    assert.equal("&quot;&#39;\\u003cb\\u003e&quot;", at('<p onclick="f(<%= v %>)">', "'<b>"))
    assert.equal("&quot;&#39;&quot;", at([[<p hx-vals='{"a": <%= v %>}'>]], "'"))
    assert.equal("{&quot;open&quot;:true}", at('<p x-data="<%= v %>">', { open = true }))
    for _, name in ipairs { "ng-click", "data-ng-click", "ng:click", "hx-vals", "data-hx-request" } do
      assert.equal("&quot;v&quot;", at("<p " .. name .. '="<%= v %>">', "v"), name)
    end
    assert.error_matches(function() render("<script>x = <%= v %></script>", 0 / 0) end, "")
  end)

  it("keeps to the quotes of a string in a script", function()
    assert.equal([[\x27\x22\x5c\x0a\x3c\x2fscript\x3e]], at("<script>x = '<%= v %>';</script>", "'\"\\\n</script>"))
    assert.equal([[\u2028\x60\x24\x7b]], at('<script>x = "<%= v %>";</script>', "\u{2028}`${"))
  end)

  it("is found behind regular expressions, comments and template literals", function()
    for _, text in ipairs { [[/['"]/]], "// it's\n", "/* ' */", "`'${ {a: `'`} }'`", "a = b / c; '\\'' ",
      "return /'/", "x++ \n",
      "(a + b) / 2\n", "a[/[/']/] " } do
      assert.equal('"v"', at("<script>" .. text .. " + <%= v %></script>", "v"), text)
    end
  end)

  it("is a URL that runs no script, or a part of one", function()
    for v, url in pairs {
      ["javascript:alert(1)"] = "about:invalid#unsafe", [" \tJavaScript:x"] = "about:invalid#unsafe",
      ["java\nscript:x"] = "about:invalid#unsafe", ["vbscript:x"] = "about:invalid#unsafe",
      ["data:text/html,x"] = "about:invalid#unsafe", ["data:image/SvG+xml;base64,AA"] = "about:invalid#unsafe",
      ["data:image/svg+xml;base64,AA"] = "about:invalid#unsafe",
      ["data:image/png;base64,AAA="] = "data:image/png;base64,AAA=",
      ["https://a.example/b?c=d&e=f#g"] = "https://a.example/b?c=d&amp;e=f#g", ["/a b/ü"] = "/a%20b/%C3%BC",
      ["mailto:a@b"] = "mailto:a@b", ["/50%/%41"] = "/50%25/%41", ["/a?x=javascript:y"] = "/a?x=javascript:y",
      ["\"'<>"] = "%22%27%3C%3E",
    } do
      assert.equal(url, at('<a href="<%= v %>">', v))
    end
    assert.equal("a%2F%26b%3D%3F%23", at('<a href="/s?q=<%= v %>">', "a/&b=?#"))
    assert.equal("../a%3Fb%23c/d", at('<a href="/x/<%= v %>">', "../a?b#c/d"))
    assert.equal("javascript%3Ax", at('<a href="x<%= v %>">', "javascript:x"))
    assert.equal("a%2Cb", at('<img srcset="/a.png 1x, /<%= v %> 2x">', "a,b"):gsub(",", "%%2C"))
    assert.equal("about:invalid#unsafe", at('<svg><use xlink:href="<%= v %>">', "javascript:x"))
    assert.equal("about:invalid#unsafe", at('<meta http-equiv="refresh" content="0; url=<%= v %>">', "javascript:x"))
    assert.equal("javascript%3Ax", render('<a href="<%= "java" %><%= v %>">',
      "script:x"):match "java(.*)\">$":gsub("^", "java"))
  end)

  it("is no host behind a slash that begins the URL", function()
    local values = { v = "/evil.example", empty = "", text = "a/b", two = "//evil.example", root = "https://a.example" }
    for text, url in pairs {
      ["/<%= v %>"] = "/.//evil.example", ["/<%= text %>"] = "/a/b", ["/<%= 5 %>"] = "/5", ["/<%= empty %>"] = "/",
      ["/<%= empty %>/<%= v %>"] = "/.///evil.example", ["/<%= empty %><%= v %>"] = "/.//evil.example",
      ["/<%= text %>/<%= v %>"] = "/a/b//evil.example", ["/<%= empty %>?"] = "/./?",
      ["<%= empty %>/<%= v %>"] = "/.//evil.example", ["<%= root %>/<%= v %>"] = "https://a.example/.//evil.example",
      ["<%= empty %><%= two %>"] = "/.//evil.example", ["<%= root %><%= v %>"] = "https://a.example/evil.example",
      ["/<% if empty then %><%= empty %>/<% end %><%= v %>"] = "/.//.//evil.example",
      ["/<% for i = 1, 2 do %><%= text %>/<% end %><%= v %>"] = "/a/b/a/b/.//evil.example",
      ["/&#9;<%= v %>"] = "/&#9;.//evil.example", ["\\<%= v %>"] = "\\.//evil.example",
    } do
      assert.equal('<a href="' .. url .. '">', run(compile('<a href="' .. text .. '">', "html", "t.html"), values))
    end
    assert.equal(".//evil.example", at('<p style="background: url(/<%= v %>)">', values.v))
    assert.equal(".//evil.example", at('<img srcset="/<%= v %> 2x">', values.v))
  end)

  it("is a word, a number or a color of CSS, or in the quotes of a string", function()
    for v, css in pairs { red = "red", ["#fff"] = "#fff", ["10px 2em"] = "10px 2em", ["rgb(1, 2, 3)"] = "rgb(1, 2, 3)",
      ["url(x)"] = "unsafe-value", ["red; x: y"] = "unsafe-value", ["expression(x)"] = "unsafe-value",
      ["</style>"] = "unsafe-value", ["/*"] = "unsafe-value" } do
      assert.equal(css, at("<style>p { color: <%= v %> }</style>", v))
      assert.equal(css, at('<p style="color: <%= v %>">', v))
    end
    assert.equal([[\22 \27 \5c \3c \2f x]], at('<style>p::after { content: "<%= v %>" }</style>', "\"'\\</x"))
    assert.equal("about:invalid#unsafe", at("<style>p { background: url('<%= v %>') }</style>", "javascript:x"))
    assert.equal("/a%28b%29", at("<style>p { background: url(<%= v %>) }</style>", "/a(b)"))
  end)

  it("is in the same place after branches and loops that end where they began", function()
    local text = '<p<% if v then %> id="<%= v %>"<% end %> class="a<% if v then %> b<% end %>" '
      .. "<% if v then %>hidden<% end %>>"
      .. "<script>var a = [<% for i = 1, 2 do %><% if i > 1 then %>,<% end %><%= v %><% end %>];</script>"
      .. '<a href="/?<% for i = 1, 2 do %>x=<%= v %>&amp;<% end %>">'
    assert.equal('<p id="&quot;&amp;" class="a b" hidden><script>var a = ["\\"\\u0026","\\"\\u0026"];</script>'
      .. '<a href="/?x=%22%26&amp;x=%22%26&amp;">', render(text, '"&'))
  end)
end)

describe("a value is refused", function()
  for text, message in pairs {
    ["<p title=<%= v %>>"] = "the value of the attribute 'title' has no quotes: write title=\"<%= ... %>\"",
    ["<p title=a<%= v %>>"] = "the value of the attribute 'title' has no quotes: write title=\"<%= ... %>\"",
    ["<p <%= v %>>"] =
      "an attribute's name cannot be a value: write name=\"<%= ... %>\", or <% if ... then %>name<% end %>",
    ["<p on<%= v %>='x'>"] =
      "an attribute's name cannot be a value: write name=\"<%= ... %>\", or <% if ... then %>name<% end %>",
    ["<<%= v %>>"] = "a value cannot stand right after '<'",
    ["<h<%= v %>>"] = "the name of a tag cannot be a value",
    ["<!DOCTYPE <%= v %>>"] = "a value cannot stand in a declaration",
    ["<iframe><%= v %></iframe>"] = "a value cannot stand in this element, whose text cannot be escaped",
    ["<script>`<%= v %>`</script>"] =
      "a value cannot stand in a template literal of JavaScript: give it to a variable, and write ${variable}",
    ["<script>/<%= v %>/</script>"] =
      "a value cannot stand in a regular expression of JavaScript: give it to a variable",
    ["<script>'\\<%= v %>'</script>"] = "a value cannot stand right after a backslash",
    ["<script type='text/x-template'><%= v %></script>"] =
      "the type of this script is not known to be JavaScript or JSON",
    ["<script>a <<%= v %></script>"] = "a value cannot stand right after '<': put a space between them",
    ["<script>f() / 'x' / <%= v %></script>"] =
      "it is not clear where in the script this value stands: whether a slash "

























































      .. "divides or begins a regular expression is not clear before it (give the value to a "
      .. "variable in a script of its own, before this one)",
    ["<a href='javascript:f(<%= v %>)'>"] = "a value cannot stand in a URL of this scheme",
    ["<a href='&#106;avascript:f(<%= v %>)'>"] = "a value cannot stand in a URL of this scheme",
    ["<a href='javascript&colon;f(<%= v %>)'>"] = "a value cannot stand in a URL of this scheme",
    ["<a href='java&foo;<%= v %>'>"] = "'&foo;' is not known in the attribute 'href': write the character itself",
    ["<a href='<%= v %>://x'>"] =
      "the scheme of this URL comes from a value: have the whole URL in the value, or write the scheme here",
    ["<a href='<% if v then %>/a<% else %>?a=<% end %><%= v %>'>"] =
      "the branches before this value leave off in different parts of the URL: build it in one value",
    ["<a href='/<% if v then %>a<% end %><%= v %>'>"] =
      "the branches before this value leave off in different parts of the URL: build it in one value",
    ["<img srcset='/a <%= v %>'>"] = "a value cannot stand for the width or density of an image",
    ["<meta content='<%= v %>' http-equiv='refresh'>"] =
      "the attribute 'content' of a <meta http-equiv=\"refresh\"> has a URL: write http-equiv before it",
    ["<svg><title><a href='<%= v %>'></title>"] = "a value cannot stand behind a tag in <title>",
    ["<svg><style><a href='<%= v %>'></style>"] = "a value cannot stand behind a tag in <style>",
    ["<p _='on click <%= v %>'>"] = "what a value would mean in this attribute of <p> is not clear",
    ["<p hx-trigger='click[<%= v %>]'>"] = "what a value would mean in this attribute of <p> is not clear",
    ["<p data-hx-trigger='<%= v %>'>"] = "what a value would mean in this attribute of <p> is not clear",
    ["<title/><%= v %>"] = "<title/> is not closed in HTML: write <title></title>",
    ["<svg><set attributeName='href' to='<%= v %>'>"] =
      "what a value would mean in this attribute of <set> is not clear",
    ["<p <% if v then %>title<% end %>='<%= v %>'>"] = "what a value would mean in this attribute of <p> is not clear",
  } do
    it("in " .. text, function()
      local _, problem = compile(text, "html", "t.html")
      assert.equal(message, problem and problem.message)
    end)
  end
end)

describe("no value", function()
  local PIECES = { "<a ", "href=", "href", '"', "'", ">", "<", "</", "<!--", "-->", "--", "-", "!", "/", "<script>",
    "</script>",
    "</scr", "ipt>", "<style>", "</style>", "<title>", "</title>", "<textarea>", "</textarea>", "<div", " ", "=", "x",
    "onclick=", "style=", "src=", "srcset=", "url(", ")", ";", "&", "&#", "`", "${", "}", "{", "\n", "/*", "*/", "//",
      "(",
    "<%= v %>", "<%= v %>", "<%= v %>", "<%= v %>", "<% if c then %>", "<% else %>", "<% end %>",
      "<% for i = 1, 2 do %>",
    "<xmp>", "</xmp>", "<iframe ", "srcdoc=", "<meta ", "content=", "<svg>", "title=", '"x"', "<p>", "</p>", "\\",
    "http:", "?", "#", "<!DOCTYPE " }
  local VALUES = { "</script></style></title></textarea></xmp><b>", "\"onx=y '>", "--><b>", "javascript:alert(1)",
    "*/ \n", ">",
    "-", "!>", "' \" ` ${x} <b c='d'>", "a onx=1", "script", "/", "=", "&#60;b&#62;", "&lt;", "<!--", "<", "#106;",
      "", " " }
  local RUNS = { href = true, src = true, action = true }

  -- Without texts, since an empty value leaves none.
  local function shape(text) return (("\n" .. markup.shape(text) .. "\n"):gsub("\ntext%f[\n]", ""):gsub("^\n+", "")) end

  it("leaves its place in templates of random pieces", function()
    local seed = os.getenv "TEMPLATES_SEED" or os.time()
    math.randomseed(tonumber(seed))
    local compiled = 0
    for _ = 1, tonumber(os.getenv "TEMPLATES_ROUNDS" or 4000) do
      local parts = {}
      for i = 1, math.random(2, 14) do parts[i] = PIECES[math.random(#PIECES)] end
      local text = table.concat(parts)
      local template = text:find("<%= v", 1, true) and compile(text, "html", "t.html")
      if template then
        compiled = compiled + 1
        for i, v in ipairs(VALUES) do
          local got = run(template, { v = v, c = i % 2 == 0 })
          local about = ("seed %s: %q with %q: %q"):format(seed, text, v, got)
          assert(shape(got) == shape(run(template, { v = "zq", c = i % 2 == 0 })), about)
          for _, token in ipairs(markup.tokens(got)) do
            for _, attribute in ipairs(token.attributes or {}) do
              assert(not RUNS[attribute.name] or not attribute.value:lower():find "^[%c ]*javascript:", about)
            end
          end
        end
      end
    end
    assert(compiled > 50)
  end)

  it("is another text for a reader of JSON, of a script's string, and of an attribute", function()
    local text = '<p title="<%= v %>" onclick="<%= v %>"><%= v %></p><script type="application/json"><%= v %></script>'
    for _, v in ipairs(VALUES) do
      local tokens = markup.tokens(render(text, v))
      assert.equal(v, tokens[1].attributes[1].value)
      assert.equal(v, ml.json.decode(tokens[1].attributes[2].value))
      assert.equal(v, v == "" and "" or tokens[2].text)
      assert.equal(v, ml.json.decode(tokens[#tokens - 1].text))
    end
  end)
end)
