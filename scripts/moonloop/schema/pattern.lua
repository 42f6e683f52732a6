--- Regular expressions of ECMA-262 (with its flag u), as PCRE2 has them. What means something else there is
-- written anew; what ECMA-262 does not have is refused, so that the document says what is checked.
local CLASSES = {
  s = [[\x{9}-\x{d}\x{20}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}\x{feff}]],
  d = "0-9", w = "A-Za-z0-9_",
}
local CONTROLS = { t = 9, n = 10, v = 11, f = 12, r = 13 }
local CATEGORIES = {
  Letter = "L", Cased_Letter = "L&", Uppercase_Letter = "Lu", Lowercase_Letter = "Ll", Titlecase_Letter = "Lt",
  Modifier_Letter = "Lm", Other_Letter = "Lo", Mark = "M", Nonspacing_Mark = "Mn", Spacing_Mark = "Mc",
  Enclosing_Mark = "Me", Number = "N", Decimal_Number = "Nd", digit = "Nd", Letter_Number = "Nl",
  Other_Number = "No", Punctuation = "P", punct = "P", Connector_Punctuation = "Pc", Dash_Punctuation = "Pd",
  Open_Punctuation = "Ps", Close_Punctuation = "Pe", Initial_Punctuation = "Pi", Final_Punctuation = "Pf",
  Other_Punctuation = "Po", Symbol = "S", Math_Symbol = "Sm", Currency_Symbol = "Sc", Modifier_Symbol = "Sk",
  Other_Symbol = "So", Separator = "Z", Space_Separator = "Zs", Line_Separator = "Zl", Paragraph_Separator = "Zp",
  Other = "C", Control = "Cc", cntrl = "Cc", Format = "Cf", Surrogate = "Cs", Private_Use = "Co", Unassigned = "Cn",
}

local function literal(code) return ("\\x{%x}"):format(code) end

--- Reads \p{...} or \P{...} whose letter is at `at`.
local function property(text, at)
  local letter, name, stop = text:match("^([pP]){(%^?[%w_=]+)}()", at)
  if not letter or name:find "^%^" then error(("\\%s needs a property in braces"):format(text:sub(at, at)), 0) end
  local key, value = name:match "^(%w+_?%w*)=(.+)$"
  if key == "General_Category" or key == "gc" then name = value
  elseif key == "Script" or key == "sc" or key == "Script_Extensions" or key == "scx" then name = value
  elseif key then error(("there is no property '%s'"):format(key), 0)
  end
  return ("\\%s{%s}"):format(letter, CATEGORIES[name] or name), stop
end

--- The code point that the escape whose letter is at `at` stands for, and where it ends; nil if it is of
-- another kind.
local function code_of(text, at)
  local letter = text:sub(at, at)
  if CONTROLS[letter] then return CONTROLS[letter], at + 1 end
  if letter == "0" and not text:find("^%d", at + 1) then return 0, at + 1 end
  if letter == "c" then
    local control = text:match("^%a", at + 1)
    if not control then error("\\c needs a letter", 0) end
    return control:byte() % 32, at + 2
  elseif letter == "x" then
    local hex = text:match("^%x%x", at + 1)
    if not hex then error("\\x needs two hexadecimal digits", 0) end
    return tonumber(hex, 16), at + 3
  elseif letter == "u" then
    local hex, stop = text:match("^{(%x+)}()", at + 1)
    if not hex then hex, stop = text:match("^(%x%x%x%x)()", at + 1) end
    local code = hex and tonumber(hex, 16)
    if not code or code > 0x10FFFF then error("\\u needs four hexadecimal digits, or a code point in braces", 0) end
    if code >= 0xD800 and code <= 0xDBFF then
      local low, low_stop = text:match("^\\u([Dd][C-Fc-f]%x%x)()", stop)
      if low then return 0x10000 + (code - 0xD800) * 0x400 + (tonumber(low, 16) - 0xDC00), low_stop end
    end
    if code >= 0xD800 and code <= 0xDFFF then error("half of a surrogate pair", 0) end
    return code, stop
  elseif letter:find "[%^$\\.*+?()%[%]{}|/]" then
    return letter:byte(), at + 1
  end
end

--- The class in brackets at `at`.
local function class(text, at)
  local out, negated = {}, false
  at = at + 1
  if text:sub(at, at) == "^" then negated, at = true, at + 1 end
  local empty = text:sub(at, at) == "]"
  while true do
    local c = text:sub(at, at)
    if c == "" then error("a bracket is not closed", 0) end
    if c == "]" then break end
    if c == "\\" then
      local letter = text:sub(at + 1, at + 1)
      local code, stop = code_of(text, at + 1)
      if code then out[#out + 1], at = literal(code), stop
      elseif letter == "b" then out[#out + 1], at = literal(8), at + 2
      elseif letter == "-" then out[#out + 1], at = "\\-", at + 2
      elseif letter == "d" or letter == "w" or letter == "s" then out[#out + 1], at = CLASSES[letter], at + 2
      elseif letter == "D" or letter == "W" then out[#out + 1], at = "\\" .. letter, at + 2
      elseif letter == "S" then error("\\S in brackets is not supported", 0)
      elseif letter == "p" or letter == "P" then out[#out + 1], at = property(text, at + 1)
      else error(("\\%s has no meaning in brackets"):format(letter), 0)
      end
    elseif c == "-" then
      out[#out + 1], at = "-", at + 1
    else
      local length = utf8.offset(text, 2, at) - at
      out[#out + 1] = c:find "[%w\x80-\xff]" and text:sub(at, at + length - 1) or literal(c:byte())
      at = at + length
    end
  end
  if empty then return negated and "[\\s\\S]" or "(?!)", at + 1 end
  return (negated and "[^" or "[") .. table.concat(out) .. "]", at + 1
end

--- The group that begins with "(?" at `at`.
local function group(text, at)
  for _, start in ipairs { "(?:", "(?=", "(?!", "(?<=", "(?<!" } do
    if text:sub(at, at + #start - 1) == start then return start, at + #start end
  end
  local name, stop = text:match("^%(%?<([%a_$][%w_$]*)>()", at)
  if not name then error(("'%s' is not ECMA-262"):format(text:sub(at, at + 3)), 0) end
  return "(?<" .. name:gsub("%$", "_") .. ">", stop
end

--- An escape outside of brackets.
local function escape(text, at)
  local letter = text:sub(at + 1, at + 1)
  local code, stop = code_of(text, at + 1)
  if code then return literal(code), stop end
  if letter == "S" then return "[^" .. CLASSES.s .. "]", at + 2 end
  if letter == "s" then return "[" .. CLASSES.s .. "]", at + 2 end
  if letter:find "[dDwWbB]" then return "\\" .. letter, at + 2 end
  if letter:find "[pP]" then return property(text, at + 1) end
  local number, behind = text:match("^([1-9]%d*)()", at + 1)
  if number then return "\\g{" .. number .. "}", behind end
  local name, after = text:match("^k<([%w_$]+)>()", at + 1)
  if name then return "\\k<" .. name:gsub("%$", "_") .. ">", after end
  if letter == "-" then return "\\-", at + 2 end
  error(letter == "" and "a backslash at its end" or ("\\%s is not ECMA-262"):format(letter), 0)
end

--- translate(text) -> the pattern for PCRE2, or nil and what is wrong.
return function(text)
  if not utf8.len(text) then return nil, "it is not UTF-8" end
  local out, at = {}, 1
  local ok, err = pcall(function()
    while at <= #text do
      local c = text:sub(at, at)
      local piece
      if c == "\\" then piece, at = escape(text, at)
      elseif c == "[" then piece, at = class(text, at)
      elseif c == "." then piece, at = "[^\\n\\r\\x{2028}\\x{2029}]", at + 1
      elseif text:find("^%(%?", at) then piece, at = group(text, at)
      elseif text:find("^%(%*", at) then error("nothing to repeat", 0)
      elseif c == "*" or c == "+" or c == "?" or text:find("^{%d+,?%d*}", at) then
        piece = c == "{" and text:match("^{%d+,?%d*}", at) or c
        at = at + #piece
        if text:sub(at, at) == "?" then piece, at = piece .. "?", at + 1 end
        if text:find("^[*+?]", at) then error("nothing to repeat", 0) end
      elseif c == "{" or c == "}" or c == "]" or c == "#" then piece, at = "\\" .. c, at + 1
      else piece, at = c, at + 1
      end
      out[#out + 1] = piece
    end
  end)
  if not ok then return nil, err end
  return table.concat(out)
end
