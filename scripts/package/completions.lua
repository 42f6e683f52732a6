--- Writes the completions for bash, zsh and fish: completions.lua BINARY FOLDER
local here = arg[0]:match "^(.*/)" or "./"
package.path = here .. "?.lua;" .. package.path
local commands = require "help".read(arg[1])
local folder = arg[2]

local function write(name, lines)
  local file = assert(io.open(folder .. "/" .. name, "w"))
  file:write(table.concat(lines, "\n"), "\n")
  file:close()
end

local function names(list)
  local found = {}
  for i, item in ipairs(list) do found[i] = item.name end
  return table.concat(found, " ")
end

local function quoted(text) return "'" .. text:gsub("'", "'\\''") .. "'" end

-- bash: what may follow the option before the cursor; else what may follow the command.
local function bash()
  local lines = {
    "# Completion of moonloop for bash.",
    "_moonloop() {",
    "  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} command='' i",
    "  for ((i = 1; i < COMP_CWORD; i++)); do",
    "    case ${COMP_WORDS[i]} in",
    "    " .. names(commands):gsub(" ", "|") .. ") command=${COMP_WORDS[i]} && break ;;",
    "    help) command=help && break ;;",
    "    esac",
    "  done",
    "  case $command$before in",
  }
  local function reply(words) return ('mapfile -t COMPREPLY < <(compgen -W "%s" -- "$word")'):format(words) end
  local add_files = 'mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$word")'
  for _, command in ipairs(commands) do
    for _, option in ipairs(command.options) do
      local value, answer = option.value, nil
      if value.kind == "file" then answer = add_files end
      if value.kind == "folder" then answer = 'mapfile -t COMPREPLY < <(compgen -d -- "$word")' end
      if value.kind == "words" then answer = reply(table.concat(value.words, " ")) end
      if value.kind == "any" then answer = ":" end
      if answer then lines[#lines + 1] = ("  %s%s) %s; return ;;"):format(command.name, option.name, answer) end
    end
  end
  lines[#lines + 1] = "  esac"
  lines[#lines + 1] = "  case $command in"
  for _, command in ipairs(commands) do
    lines[#lines + 1] = ("  %s) [[ $word == -* ]] && %s && return"):format(command.name,
      reply(names(command.options)))
    if command.words[1] then
      lines[#lines + 1] = ("    [[ $before == %s ]] && %s && return"):format(command.name,
        reply(table.concat(command.words, " ")))
    end
    local after = command.files_after
    local condition = after and ('[[ " ${COMP_WORDS[*]} " == *" %s "* ]] && '):format(after) or ""
    if command.takes_files then lines[#lines + 1] = "    " .. condition .. add_files end
    lines[#lines + 1] = "    ;;"
  end
  lines[#lines + 1] = "  help) " .. reply(names(commands)) .. " ;;"
  lines[#lines + 1] = "  *) " .. reply(names(commands) .. " help --help --version")
  lines[#lines + 1] = "    " .. add_files .. " ;;"
  lines[#lines + 1] = "  esac"
  lines[#lines + 1] = "}"
  lines[#lines + 1] = "complete -o filenames -F _moonloop moonloop"
  return lines
end

-- zsh: _arguments of each command.
local function zsh()
  local function plain(text) return text:gsub("[%[%]:']", " ") end
  local lines = { "#compdef moonloop", "# Completion of moonloop for zsh.", "_moonloop() {", "  local -a commands",
    "  commands=(" }
  for _, command in ipairs(commands) do
    lines[#lines + 1] = "    " .. quoted(command.name .. ":" .. plain(command.about))
  end
  lines[#lines + 1] = "    'help:explains a command'"
  lines[#lines + 1] = "  )"
  lines[#lines + 1] = "  if ((CURRENT == 2)); then"
  lines[#lines + 1] = "    _describe command commands"
  lines[#lines + 1] = "    _files"
  lines[#lines + 1] = "    return"
  lines[#lines + 1] = "  fi"
  lines[#lines + 1] = "  local command=$words[2]"
  lines[#lines + 1] = "  shift words"
  lines[#lines + 1] = "  ((CURRENT--))"
  lines[#lines + 1] = "  case $command in"
  for _, command in ipairs(commands) do
    local specs = {}
    for _, option in ipairs(command.options) do
      local after = ""
      if option.value.kind == "file" then after = ":file:_files" end
      if option.value.kind == "folder" then after = ":folder:_files -/" end
      if option.value.kind == "words" then after = (":value:(%s)"):format(table.concat(option.value.words, " ")) end
      if option.value.kind == "any" then after = ":value:" end
      specs[#specs + 1] = quoted(("*%s[%s]%s"):format(option.name, plain(option.about), after))
    end
    if command.words[1] then
      specs[#specs + 1] = quoted((":command:(%s)"):format(table.concat(command.words, " ")))
    end
    local after = command.files_after
    local action = after and ("{ ((${words[(I)%s]})) && _files }"):format(after) or "_files"
    if command.takes_files then specs[#specs + 1] = quoted("*:file:" .. action) end
    lines[#lines + 1] = "  " .. command.name .. ")"
    lines[#lines + 1] = "    _arguments \\"
    lines[#lines + 1] = "      " .. table.concat(specs, " \\\n      ")
    lines[#lines + 1] = "    ;;"
  end
  lines[#lines + 1] = "  help) _describe command commands ;;"
  lines[#lines + 1] = "  *) _files ;;"
  lines[#lines + 1] = "  esac"
  lines[#lines + 1] = "}"
  lines[#lines + 1] = '_moonloop "$@"'
  return lines
end

local function fish()
  local lines = { "# Completion of moonloop for fish." }
  for _, command in ipairs(commands) do
    lines[#lines + 1] = ("complete -c moonloop -n __fish_use_subcommand -a %s -d %s"):format(
      command.name, quoted(command.about))
    local seen = "__fish_seen_subcommand_from "
    local inside = ("complete -c moonloop -n '%s%s'"):format(seen, command.name)
    for _, option in ipairs(command.options) do
      local kind, after = option.value.kind, ""
      if kind == "file" then after = " -r -F" end
      if kind == "folder" then after = " -x -a '(__fish_complete_directories)'" end
      if kind == "any" then after = " -x" end
      if kind == "words" then -- without the description of the option, which each would have
        after = (" -x -a '%s\\t\"\"'"):format(table.concat(option.value.words, '\\t"" '))
      end
      lines[#lines + 1] = ("%s -l %s%s -d %s"):format(inside, option.name:sub(3), after, quoted(option.about))
    end
    if not command.takes_files then
      lines[#lines + 1] = inside .. " -f"
    elseif command.files_after then
      lines[#lines + 1] = ("complete -c moonloop -n '%s%s; and not %s%s' -f"):format(seen, command.name, seen,
        command.files_after)
    end
    if command.words[1] then
      local words = table.concat(command.words, " ")
      lines[#lines + 1] = ("complete -c moonloop -n '%s%s; and not %s%s' -f -a '%s'"):format(seen, command.name, seen,
        words, words)
    end
  end
  lines[#lines + 1] = "complete -c moonloop -n __fish_use_subcommand -a help -d 'explains a command'"
  lines[#lines + 1] = ("complete -c moonloop -n '__fish_seen_subcommand_from help' -f -a '%s'"):format(names(commands))
  return lines
end

write("moonloop.bash", bash())
write("_moonloop", zsh())
write("moonloop.fish", fish())
