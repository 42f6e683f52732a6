--- The page about an error: HTML without scripts and without anything from elsewhere.
local escape = require "moonloop.web.escape".escape

local M = {}

local STYLE = [[
:root { color-scheme: light dark; --back: #f6f7f9; --card: #fff; --text: #1d2330; --faint: #626b7d; --line: #d9dde5;
  --red: #b3261e; --redback: #fdeceb; --code: #fafbfc; --accent: #2f5bd0; }
@media (prefers-color-scheme: dark) { :root { --back: #14171d; --card: #1c2028; --text: #e6e9ef; --faint: #9aa3b5;
  --line: #323845; --red: #ff8a80; --redback: #3a1f20; --code: #171b22; --accent: #8fb0ff; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--text); font: 15px/1.5 system-ui, sans-serif; }
header { background: var(--card); border-bottom: 3px solid var(--red); padding: 1.2rem 1.5rem; }
header p { margin: 0; color: var(--faint); overflow-wrap: anywhere; }
h1 { margin: .2rem 0 .4rem; font-size: 1.35rem; line-height: 1.35; overflow-wrap: anywhere; white-space: pre-wrap; }
.kind { color: var(--red); font-weight: 700; }
main { display: grid; grid-template-columns: minmax(0, 1fr); gap: 1.2rem; padding: 1.2rem 1.5rem; }
@media (min-width: 1100px) { main { grid-template-columns: minmax(0, 5fr) minmax(0, 2fr); } }
h2 { font-size: 1rem; margin: 1.4rem 0 .5rem; overflow-wrap: anywhere; }
h2:first-child { margin-top: 0; }
h3 { font-size: .8rem; margin: 1rem 0 .3rem; color: var(--faint); font-weight: 600; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 8px; margin-bottom: .8rem;
  overflow: hidden; }
summary { padding: .55rem .9rem; cursor: pointer; overflow-wrap: anywhere; }
summary b { font-weight: 600; }
.place { color: var(--accent); font-family: ui-monospace, monospace; font-size: .9em; }
.inside { border-top: 1px solid var(--line); }
pre { margin: 0; padding: .5rem 0; background: var(--code); overflow-x: auto; font: 13px/1.55 ui-monospace, monospace;
  tab-size: 2; }
pre .l { display: block; min-width: max-content; padding-right: 1rem; }
pre .l i { display: inline-block; width: 3.4rem; padding-right: .9rem; text-align: right; font-style: normal;
  color: var(--faint); user-select: none; }
pre .it { background: var(--redback); box-shadow: inset 3px 0 var(--red); }
pre.plain { padding: .7rem .9rem; white-space: pre-wrap; overflow-wrap: anywhere; }
table { width: 100%; border-collapse: collapse; font: 13px/1.5 ui-monospace, monospace; table-layout: fixed; }
td { padding: .28rem .9rem; border-top: 1px solid var(--line); vertical-align: top; overflow-wrap: anywhere; }
td:first-child { width: 9.5rem; color: var(--faint); }
.inside > table tr:first-child td { border-top: 0; }
.inside > pre + table tr:first-child td { border-top: 1px solid var(--line); }
.note { padding: .5rem .9rem; color: var(--faint); font-size: .9em; }
footer { padding: 0 1.5rem 1.5rem; color: var(--faint); font-size: .85rem; }
]]

local function rows(list)
  local out = {}
  for _, row in ipairs(list) do
    out[#out + 1] = ("<tr><td>%s</td><td>%s</td></tr>"):format(escape(row.name or row[1]), escape(row.text or row[2]))
  end
  return "<table>" .. table.concat(out) .. "</table>"
end

local function code(lines)
  local out = {}
  for _, line in ipairs(lines) do
    out[#out + 1] = ('<span class="l%s"><i>%d</i>%s</span>'):format(line.is_it and " it" or "", line.number,
      escape(line.text))
  end
  return "<pre>" .. table.concat(out) .. "</pre>"
end

local function frame_card(frame, is_open)
  local inside = {}
  if frame.lines then inside[#inside + 1] = code(frame.lines) end
  if frame.locals[1] then inside[#inside + 1] = rows(frame.locals) end
  if frame.is_tail then inside[#inside + 1] = '<div class="note">called by a tail call, whose caller is gone</div>' end
  if frame.is_start then
    inside[#inside + 1] = '<div class="note">Only where the handler begins is known: it has returned the error, or '
      .. "something that cannot be sent.</div>"
  end
  if not inside[1] then inside[1] = '<div class="note">no source</div>' end
  return ('<details class="card"%s><summary><b>%s</b> <span class="place">%s:%d</span></summary>'
    .. '<div class="inside">%s</div></details>')
    :format(is_open and " open" or "", escape(frame.name), escape(frame.place), frame.line, table.concat(inside))
end

local function frames(entry, is_first)
  local out = {}
  for i, frame in ipairs(entry.frames or {}) do
    if frame.is_waiting then out[#out + 1] = "<h3>In the task that waited for it</h3>" end
    out[#out + 1] = frame_card(frame, is_first and i == 1)
  end
  if entry.more then out[#out + 1] = '<div class="note">... and frames further out</div>' end
  return table.concat(out)
end

--- The part of the page about the errors that led to the first one.
local function causes(chain)
  local out = {}
  for i = 2, #chain do
    local entry = chain[i]
    out[#out + 1] = ('<h2>%s: <span class="kind">%s</span> %s</h2>'):format(entry.how, escape(entry.title),
      escape(entry.message))
    out[#out + 1] = frames(entry, not (chain[1].frames and chain[1].frames[1]) and i == 2)
  end
  return table.concat(out)
end

local function request(of)
  local out = { ('<div class="card"><div class="note"><b>%s</b><br>from %s</div></div>'):format(escape(of.line),
    escape(of.client)) }
  for _, part in ipairs(of.parts) do
    if part.rows[1] then
      out[#out + 1] = ('<h3>%s</h3><div class="card"><div class="inside">%s</div></div>'):format(part.title,
        rows(part.rows))
    end
  end
  return table.concat(out)
end

--- The page for what answer.lua has found out.
function M.html(report, nonce)
  local first = report.chain[1]
  local title = first.title .. ": " .. first.message
  local out = { "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n",
    '<meta name="viewport" content="width=device-width, initial-scale=1">\n',
    '<link rel="icon" href="data:,">\n<title>', escape(title:sub(1, 200)), '</title>\n<style nonce="', nonce, '">\n',
    STYLE, "</style>\n</head>\n<body>\n<header>\n<p>", escape(report.where), " failed</p>\n",
    '<h1><span class="kind">', escape(first.title), "</span> ", escape(first.message), "</h1>\n",
    "<p>", escape(report.request.line), "</p>\n</header>\n<main>\n<section>\n" }
  if first.frames and first.frames[1] then
    out[#out + 1] = "<h2>Where it happened, innermost first</h2>\n"
    out[#out + 1] = frames(first, true)
  end
  out[#out + 1] = causes(report.chain)
  if report.traceback then
    out[#out + 1] = '\n<details class="card"><summary><b>The traceback as a text</b></summary>'
      .. '<div class="inside"><pre class="plain">' .. escape(report.traceback) .. "</pre></div></details>\n"
  end
  out[#out + 1] = "</section>\n<section>\n<h2>The request</h2>\n"
  out[#out + 1] = request(report.request)
  out[#out + 1] = "\n</section>\n</main>\n<footer>Only moonloop dev shows this, and only to browsers on this machine. "
    .. "With moonloop serve it is a 500 without details.</footer>\n</body>\n</html>\n"
  return table.concat(out)
end

return M
