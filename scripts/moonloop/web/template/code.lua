--- Templates: the code between their tags. It follows the keywords of Lua from tag to tag, so that branches and
-- loops end where they began, as seen from HTML, and puts what it does for a template's own words: include, block
-- and others.
local html = require "moonloop.web.template.html"
local joining = require "moonloop.web.template.join"
local write = require "moonloop.web.template.source"

local at_line, fail, go_to, put = write.at_line, write.fail, write.go_to, write.put

local M = {}

local LOOPS = { ["for"] = true, ["while"] = true, ["repeat"] = true }

local function top(state) return state.frames[#state.frames] end

local function push(state, kind, fields)
  local frame = fields or {}
  frame.kind, frame.line, frame.start = kind, state.source.line, joining.copy(state.context)
  state.frames[#state.frames + 1] = frame
  return frame
end

local function pop(state, word, kind)
  local frame = top(state)
  if not frame or kind and frame.kind ~= kind or not kind and frame.kind == "repeat" then
    fail(state.source.line, "'%s' closes nothing", word)
  end
  state.frames[#state.frames] = nil
  return frame
end

--- The function that the code is in: a frame, or the template itself.
local function function_of(state)
  for i = #state.frames, 1, -1 do
    local frame = state.frames[i]
    if frame.kind == "function" or frame.kind == "block" then return frame end
  end
  return state
end

--- Notes that text is written here.
function M.note_text(state)
  for i = #state.frames, 1, -1 do
    local frame = state.frames[i]
    frame.has_text = true
    if frame.kind == "function" or frame.kind == "block" then return end
  end
end

local function join(state, frame, a, b, what)
  if not a then return b end
  local joined = at_line(state.source.line, joining.join, a, b)
  if joined then return joined end
  local one, other = html.describe(a), html.describe(b)
  if one == other then other = "in another part of it" end
  fail(state.source.line, "the %s of the '%s' in line %d %s: %s, and %s", what, frame.kind, frame.line,
    what == "branches" and "leave off in different places" or "begins in one place and ends in another", one, other)
end

--- A place in the source that gets its text when it is known whether text is written there.
local function reserve(state, frame)
  local parts = state.source.parts
  parts[#parts + 1] = ""
  frame.reserved = #parts
end

local function end_loop(state, frame)
  if not frame.reserved then fail(frame.line, "this '%s' has no 'do'", frame.kind) end
  if frame.has_text then state.source.parts[frame.reserved] = "if _n>_m then _n=_r.flush(_r,_o,_n) end " end
  local context = join(state, frame, frame.start, state.context, "body")
  for _, at_break in ipairs(frame.breaks or {}) do context = join(state, frame, context, at_break, "body") end
  state.context = context
end

--- All jumps of a function end where they began, as seen from HTML.
local function check_jumps(frame)
  for name, jumps in pairs(frame.jumps or {}) do
    local label = frame.labels and frame.labels[name]
    for _, jump in ipairs(label and jumps or {}) do
      if not joining.same(jump.context, label) then
        fail(jump.line, "'goto %s' leads from one place to another: %s, and %s", name, html.describe(jump.context),
          html.describe(label))
      end
    end
  end
end

local function end_function(state, frame)
  check_jumps(frame)
  if not frame.has_text then return end
  if not frame.reserved then fail(frame.line, "this 'function' has no parameters") end
  if not html.is_text(state.context) then
    fail(state.source.line, "the function of line %d ends %s", frame.line, html.describe(state.context))
  end
  if frame.returns then
    fail(frame.returns, "a function with text returns its text: it has no 'return' of its own")
  end
  state.source.parts[frame.reserved] = "local _o,_n,_r={},0,_r.quiet local _m=_r.most "
  put(state.source, "return _html(_o,_n) ")
end

local function end_block(state, frame)
  check_jumps(frame)
  if not joining.same(state.context, frame.start) then
    fail(state.source.line, "the block '%s' of line %d begins %s and ends %s", frame.name, frame.line,
      html.describe(frame.start), html.describe(state.context))
  end
  local line = state.source.line
  state.template.blocks[frame.name] = write.load(state.source, state.template)
  state.source = frame.source
  go_to(state.source, line)
end

local words = {}

words["function"] = function(state)
  push(state, "function").before = state.context
  state.context = html.start(state.template.kind)
end

words["if"] = function(state) push(state, "if") end

words["else"] = function(state, word)
  local frame = top(state)
  if not frame or frame.kind ~= "if" then fail(state.source.line, "'%s' is not in an 'if'", word) end
  frame.ends = join(state, frame, frame.ends, state.context, "branches")
  frame.has_else = frame.has_else or word == "else"
  state.context = joining.copy(frame.start)
end
words["elseif"] = words["else"]

words["for"] = function(state, word)
  joining.widen(state.context)
  push(state, word).waits = "do"
end
words["while"] = words["for"]

words["repeat"] = function(state)
  joining.widen(state.context)
  local frame = push(state, "repeat")
  return function() reserve(state, frame) end
end

words["do"] = function(state)
  local frame = top(state)
  if not frame or frame.waits ~= "do" then return push(state, "do") and nil end
  frame.waits = nil
  return function() reserve(state, frame) end
end

words["until"] = function(state) end_loop(state, pop(state, "until", "repeat")) end

words["end"] = function(state)
  local frame = pop(state, "end")
  local kind = frame.kind
  if LOOPS[kind] then
    end_loop(state, frame)
  elseif kind == "function" then
    end_function(state, frame)
    state.context = frame.before
  elseif kind == "block" then
    end_block(state, frame)
    return true
  elseif kind == "if" then
    local ends = join(state, frame, frame.ends, state.context, "branches")
    if not frame.has_else then ends = join(state, frame, ends, frame.start, "branches") end
    state.context = ends
  end
end

words["return"] = function(state)
  local frame = function_of(state)
  if frame.kind ~= "function" then
    fail(state.source.line, "a template has no 'return': write 'if ... then' around what follows")
  end
  frame.returns = frame.returns or state.source.line
end

words["break"] = function(state)
  for i = #state.frames, 1, -1 do
    local frame = state.frames[i]
    if LOOPS[frame.kind] then
      frame.breaks = frame.breaks or {}
      table.insert(frame.breaks, joining.copy(state.context))
      return
    end
  end
end

local function note_jump(state, name)
  local frame = function_of(state)
  frame.jumps = frame.jumps or {}
  frame.jumps[name] = frame.jumps[name] or {}
  table.insert(frame.jumps[name], { context = joining.copy(state.context), line = state.source.line })
end

local function note_label(state, name)
  local frame = function_of(state)
  frame.labels = frame.labels or {}
  frame.labels[name] = joining.copy(state.context)
end

--- The value of a token that is a string.
local function string_of(state, token)
  local f, message = load(("\n"):rep(state.source.line - 1) .. "return " .. token.text, "@", "t", {})
  if not f then write.fail_as(message) end
  return f()
end

local function note_name(state, token, what)
  if token and token.kind == "string" then
    table.insert(state.template.uses, { name = string_of(state, token), line = state.source.line, what = what })
  end
end

--- Is the token the beginning of a call, and of no method or field?
local function is_call(tokens, i)
  local before, after = tokens[i - 1], tokens[i + 1]
  if before and (before.text == "." or before.text == ":" or before.text == "function") then return false end
  return after and (after.kind == "string" or after.text == "(") or false
end

local function named_of(tokens, i)
  local after = tokens[i + 1]
  return after.text == "(" and tokens[i + 2] or after
end

--- Words that are no keywords of Lua, where they are called: each returns what stands for the word.
local calls = {}

function calls.include(state, tokens, i)
  if not html.is_text(state.context) then
    fail(state.source.line, "'include' cannot stand %s", html.describe(state.context))
  end
  M.note_text(state)
  note_name(state, named_of(tokens, i), "include")
  return "_n=_r.include(_r,_t,_ENV,_o,_n)"
end

function calls.import(state, tokens, i)
  note_name(state, named_of(tokens, i), "import")
  return "import"
end

function calls.flush(state, tokens, i)
  if not tokens[i + 2] or tokens[i + 2].text ~= ")" then fail(state.source.line, "'flush()' takes no arguments") end
  return "_n=_r.send(_r,_o,_n)"
end

for _, word in ipairs { "layout", "block" } do
  calls[word] = function(state)
    fail(state.source.line, word == "layout" and "'layout' has to be the first tag, and alone in it"
      or "'block \"name\"' has to be alone in its tag")
  end
end

local function without_comments(tokens)
  local list = {}
  for _, token in ipairs(tokens) do
    if token.kind ~= "comment" then list[#list + 1] = token end
  end
  return list
end

--- `block "name"`, `block("name")`: the token of the name.
local function block_of(tokens)
  if not tokens[1] or tokens[1].text ~= "block" then return nil end
  if #tokens == 2 and tokens[2].kind == "string" then return tokens[2] end
  return #tokens == 4 and tokens[2].text == "(" and tokens[3].kind == "string" and tokens[4].text == ")" and tokens[3]
end

local function begin_block(state, token)
  local name, template, line = string_of(state, token), state.template, state.source.line
  if template.blocks[name] ~= nil then fail(line, "there are two blocks '%s'", name) end
  if function_of(state).kind == "function" then fail(line, "a block cannot stand in a function") end
  if not html.takes_block(state.context) then fail(line, "a block cannot stand %s", html.describe(state.context)) end
  if template.layout then
    if name == "content" then
      fail(line, "the block 'content' is what stands outside of blocks in a template with a layout")
    end
    if #state.frames > 0 then
      fail(line, "a block of a template with a layout stands alone, not inside of '%s'", top(state).kind)
    end
  else
    M.note_text(state)
    local quoted = ("%q"):format(name):gsub("\n", "n") -- on this line, whatever is in it
    put(state.source, ("_n=_r.block(_r,_t,_ENV,_o,_n,%s) "):format(quoted))
  end
  template.blocks[name] = false
  push(state, "block", { name = name, source = state.source })
  state.source = write.new()
  go_to(state.source, line)
end

--- `layout "name"`, `layout("name", values)`, as the first tag.
local function begin_layout(state, segment, tokens)
  local template, line = state.template, segment.line
  local named = tokens[2] and named_of(tokens, 1)
  if not named or named.kind ~= "string" then fail(line, "the name of a layout is a string: layout \"base.html\"") end
  template.layout = string_of(state, named)
  note_name(state, named, "layout")
  if tokens[2].text ~= "(" then
    if #tokens > 2 then fail(line, "'layout' has to be alone in its tag") end
    return
  end
  if tokens[#tokens].text ~= ")" or #tokens == 3 then fail(line, "this 'layout(...)' has no ')'") end
  if #tokens == 4 then return end
  local from = tokens[5] and tokens[4].text == "," and tokens[5].from
  if not from then fail(line, "layout(name, values): a comma is missing") end
  local source = ("\n"):rep(line - 1) .. "local _ENV=... return " ..
    segment.text:sub(from - segment.from + 1, tokens[#tokens].from - segment.from)
  local chunk, message = load(source, "@" .. template.path, "t")
  if not chunk then write.fail_as(message) end
  template.layout_values = chunk
end

--- Goes on by one token. Puts it, or what stands for it.
local function put_token(state, tokens, i)
  local source, token = state.source, tokens[i]
  if token.kind ~= "name" then
    put(source, token.text)
    local frame = top(state)
    if token.text == ")" and frame and frame.kind == "function" and not frame.reserved then
      put(source, " ")
      reserve(state, frame)
    elseif token.text == "::" and tokens[i + 1] and tokens[i + 2] and tokens[i + 2].text == "::" then
      note_label(state, tokens[i + 1].text)
    end
    return
  end
  local call = calls[token.text]
  if call and is_call(tokens, i) then
    put(source, call(state, tokens, i))
    return token.text == "flush" and 2 or 0 -- without its brackets
  end
  local word = words[token.text]
  if token.text == "goto" and tokens[i + 1] and tokens[i + 1].kind == "name" then
    note_jump(state, tokens[i + 1].text)
  end
  local after = word and word(state, token.text)
  if after == true then return end -- the end of a block: the function has its own
  put(source, token.text)
  if after then
    put(source, " ")
    after()
  end
end

--- Puts the code of a tag.
function M.put(state, segment)
  local tokens = without_comments(segment.tokens)
  if not tokens[1] then return end
  write.end_pieces(state.source)
  go_to(state.source, segment.line)
  if tokens[1].text == "layout" and is_call(tokens, 1) and not state.has_begun then
    return begin_layout(state, segment, tokens)
  end
  local named = block_of(tokens)
  if named then return begin_block(state, named) end
  local at, skip = segment.from, 0
  for i, token in ipairs(tokens) do
    local gap = segment.text:sub(at - segment.from + 1, token.from - segment.from)
    -- Comments are left out, but not their lines.
    if gap:find "%S" then gap = (" " .. gap):gsub("[^\n]", "") end
    put(state.source, gap == "" and i > 1 and "" or gap == "" and " " or gap)
    if skip > 0 then
      skip = skip - 1
    else
      skip = put_token(state, tokens, i) or 0
    end
    at = token.to + 1
  end
  put(state.source, " ")
end

--- What has to be so at the end of a template, whose last line is `line`.
function M.finish(state, line)
  local frame = top(state)
  if frame then fail(frame.line, "this '%s' has no 'end'", frame.kind) end
  if not html.is_text(state.context) then fail(line, "the template ends %s", html.describe(state.context)) end
  check_jumps(state)
end

return M
