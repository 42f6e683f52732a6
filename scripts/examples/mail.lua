-- A dialogue of commands and answers, as SMTP has it (RFC 5321): a server that takes mails, and a client.
local ml = require "moonloop"

local LIMIT = 64 * 1024 -- bytes of a mail

-- --- the server ---

--- Reads a mail to its end, a dot on a line of its own. Returns the text, or nil and an answer.
local function read_mail(conn)
  local lines, size = {}, 0
  while true do
    local line = conn:read()
    if not line then return nil, "451 the mail has no end" end
    -- A line that ends otherwise may be the end of the mail for one server and not for the next.
    if not line:find "\r$" or line:find "\r." then return nil, "500 a line ends with CR and LF" end
    line = line:sub(1, -2)
    if line == "." then return table.concat(lines, "\n") end
    size = size + #line
    if size > LIMIT then return nil, "552 the mail is too long" end
    lines[#lines + 1] = line:gsub("^%.", "") -- other lines with a dot in front have one more
  end
end

--- Answers one command. Returns true when the dialogue is over.
local function answer(conn, state, line)
  local command, rest = line:match "^(%a+)%s*(.*)$"
  command = (command or ""):upper()
  local function say(text) return assert(conn:write(text, "\r\n")) end
  if command == "HELO" or command == "EHLO" then
    say("250 good day, " .. rest)
  elseif command == "MAIL" then
    state.from, state.to = rest:match "^[Ff][Rr][Oo][Mm]:<(.*)>$", {}
    say(state.from and "250 ok" or "501 MAIL FROM:<you@example.com>")
  elseif command == "RCPT" and state.from then
    local to = rest:match "^[Tt][Oo]:<(.+)>$"
    if to then table.insert(state.to, to) end
    say(to and "250 ok" or "501 RCPT TO:<them@example.com>")
  elseif command == "DATA" and state.to and state.to[1] then
    say "354 end it with a dot on a line of its own"
    local text, refused = read_mail(conn)
    if text then state.deliver { from = state.from, to = state.to, text = text } end
    say(refused or "250 taken")
    state.from, state.to = nil, nil
    return refused ~= nil
  elseif command == "QUIT" then
    say "221 bye"
    return true
  else
    say "503 not now"
  end
end

local function mail_server(deliver)
  return ml.net.listen("127.0.0.1", 0, { max_line = 1000, max_connections = 100 }, function(conn)
    conn.timeout = 300 -- a client that says nothing for that long is left alone
    local state = { deliver = deliver }
    assert(conn:write "220 moonloop\r\n")
    for line in conn:lines() do
      if answer(conn, state, line:gsub("\r$", "")) then return end
    end
  end)
end

-- --- a client ---

--- Sends a mail. Returns true, or nil and what the server said.
local function send_mail(host, port, mail)
  for _, address in ipairs { mail.from, table.unpack(mail.to) } do
    if address:find "[%s%c<>]" then return nil, "that is no address" end -- it could be more commands
  end
  local conn <close> = assert(ml.net.connect(host, port))
  conn.timeout = 60
  local function expect(code, ...)
    if select("#", ...) > 0 then assert(conn:write(...)) end
    local line = assert(conn:read(), "the server has gone")
    line = line:gsub("\r$", "")
    print(line)
    if line:sub(1, 3) ~= code then error(line, 0) end
  end
  local text = mail.text:gsub("\r\n?", "\n"):gsub("\n", "\r\n")
  return pcall(function()
    expect "220"
    expect("250", "EHLO client.example\r\n")
    expect("250", "MAIL FROM:<", mail.from, ">\r\n")
    for _, to in ipairs(mail.to) do expect("250", "RCPT TO:<", to, ">\r\n") end
    expect("354", "DATA\r\n")
    expect("250", (text:gsub("^%.", ".."):gsub("\r\n%.", "\r\n..")), "\r\n.\r\n")
    expect("221", "QUIT\r\n")
  end)
end

local inbox = {}
local server <close> = assert(mail_server(function(mail) inbox[#inbox + 1] = mail end))
local host, port = server:address()

assert(send_mail(host, port, {
  from = "ann@example.com",
  to = { "ben@example.com", "cleo@example.com" },
  text = "Subject: tea\n\nAt five?\n.hidden files are welcome",
}))
print(send_mail(host, port, { from = "ann@example.com", to = {}, text = "for nobody" }))
print(send_mail(host, port, { from = "ann@example.com>\r\nRCPT TO:<all@example.com", to = {}, text = "" }))
for _, mail in ipairs(inbox) do
  print(("%s -> %s"):format(mail.from, table.concat(mail.to, ", ")))
  print(mail.text)
end
