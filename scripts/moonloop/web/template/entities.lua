--- Templates: character references in the attributes of a template.
local M = {}

local NAMED = { amp = "&", lt = "<", gt = ">", quot = '"', apos = "'", nbsp = "\u{a0}", colon = ":", Tab = "\t",
  NewLine = "\n", lpar = "(", rpar = ")", sol = "/", num = "#", quest = "?", comma = ",", semi = ";", equals = "=",
  lsquo = "\u{2018}", rsquo = "\u{2019}", ldquo = "\u{201c}", rdquo = "\u{201d}", hellip = "\u{2026}" }

local function numeric(digits)
  local code = digits:find "^[xX]" and tonumber(digits:sub(2), 16) or tonumber(digits, 10)
  return code and code <= 0x10ffff and code > 0 and utf8.char(code) or "\u{fffd}"
end

--- The text with its references replaced, and the first one that is not known, or nil.
function M.decode(text)
  if not text:find("&", 1, true) then return text end
  local unknown
  text = text:gsub("&(#?)([%w]+)(;?)", function(mark, name, stop)
    if mark == "#" then
      local digits = name:match "^[xX]%x+" or name:match "^%d+"
      return digits and numeric(digits) .. name:sub(#digits + 1) .. (#digits < #name and stop or "")
    end
    if stop == "" then return nil end -- as between the parameters of a URL
    if not NAMED[name] then unknown = unknown or "&" .. name .. ";" end
    return NAMED[name]
  end)
  return text, unknown
end

return M
