--- HTML as a browser's tokenizer sees it (the HTML standard, section 13.2.5), apart from the code that the
-- specs check: a list of what is in a text.
local M = {}

local RAW = { script = true, style = true, title = "text", textarea = "text", xmp = true, iframe = true,
  noembed = true, noframes = true }
local NAMED = { amp = "&", lt = "<", gt = ">", quot = '"' }

--- A text with its character references replaced.
function M.decode(text)
  return (text:gsub("&(#?[%w]+);?", function(name)
    local digits = name:match "^#(%d+)$"
    if digits then return utf8.char(tonumber(digits)) end
    return NAMED[name]
  end))
end

local function attributes(text, at)
  local list = {}
  while true do
    at = text:match("^[%s/]*()", at)
    local c = text:sub(at, at)
    if c == "" then return list, at, true end
    if c == ">" then return list, at + 1 end
    local name, after = text:match("^(.[^%s/>=]*)()", at)
    local mark = text:match("^%s*=%s*()", after)
    local value = ""
    if mark then
      local quote = text:sub(mark, mark):match "[\"']"
      if quote then
        local stop = text:find(quote, mark + 1, true)
        if not stop then return list, #text + 1, true end
        value, after = text:sub(mark + 1, stop - 1), stop + 1
      elseif text:sub(mark, mark) ~= ">" then
        value, after = text:match("^([^%s>]*)()", mark)
      else
        after = mark
      end
    end
    list[#list + 1] = { name = name:lower(), value = M.decode(value) }
    at = after
  end
end

--- The tokens: {kind = "text" | "comment" | "tag" | "end" | "raw", name =, text =, attributes =}.
function M.tokens(text)
  local list, at = {}, 1
  local function add(token) list[#list + 1] = token end
  local function add_text(part)
    local last = list[#list]
    if part == "" then return end
    if last and last.kind == "text" then
      last.text = last.text .. M.decode(part)
    else
      add { kind = "text", text = M.decode(part) }
    end
  end
  while at <= #text do
    local lt = text:find("<", at, true) or #text + 1
    add_text(text:sub(at, lt - 1))
    at = lt
    if text:find("^<!%-%-", at) then
      local closed = text:match("^%-?>()", at + 4)
      local first, last = text:find("%-%-!?>", at + 4)
      local to = closed or last and last + 1 or #text + 1
      add { kind = "comment", text = text:sub(at + 4, (closed and at + 4 or first or #text + 1) - 1) }
      at = to
    elseif text:find("^</?%a", at) then
      local closing, name, after = text:match("^<(/?)([^%s/>]*)()", at)
      name = name:lower()
      local list_of, to, unfinished = attributes(text, after)
      if unfinished then
        add { kind = "unfinished", name = name }
        return list
      end
      add { kind = closing == "/" and "end" or "tag", name = name, attributes = list_of }
      at = to
      if closing == "" and RAW[name] then
        local low, stop = text:lower(), at
        repeat
          stop = low:find("</" .. name, stop, true)
          local found = stop and low:find("^[%s/>]", stop + #name + 2)
          stop = stop and not found and stop + 1 or stop
        until not stop or found
        local inside = text:sub(at, (stop or #text + 1) - 1)
        add { kind = "raw", name = name, text = RAW[name] == "text" and M.decode(inside) or inside }
        at = stop or #text + 1
      end
    elseif text:find("^<[!?/]", at) then
      local stop = text:find(">", at, true) or #text
      add { kind = "comment", text = text:sub(at, stop) }
      at = stop + 1
    elseif at <= #text then
      add_text "<"
      at = at + 1
    end
  end
  return list
end

--- What a browser would make of it without the texts: tags, and the names of attributes.
function M.shape(text)
  local parts = {}
  for _, token in ipairs(M.tokens(text)) do
    local names = { token.kind, token.name }
    for _, attribute in ipairs(token.attributes or {}) do names[#names + 1] = attribute.name end
    parts[#parts + 1] = table.concat(names, " ")
  end
  return table.concat(parts, "\n")
end

return M
