#include "cli/help.h"

#include "base/archive.h"
#include "cli/defaults.h"

#include <stdio.h>

/* A number in a text. */
#define TEXT(number) TEXT_OF(number)
#define TEXT_OF(number) #number

#define BLOCK_LIMIT TEXT(DEFAULTS_BLOCK_LIMIT_MS)

#define ABOUT_LOG                                                                                  \
  "  --log-level LEVEL     what is logged on standard error: debug, info, warn or error, and "     \
  "above\n                        (info)\n"                                                        \
  "  --log-format FORMAT   terminal, text or json (terminal on a terminal, otherwise json)\n"

static const char about_all[] =
    "Usage:\n"
    "  moonloop [OPTIONS] SCRIPT [ARGS]   runs a Lua script; - is standard input\n"
    "  moonloop [OPTIONS] COMMAND ...     a command; moonloop COMMAND --help explains it\n"
    "  moonloop                           the prompt on a terminal, else standard input\n"
    "\n"
    "Commands:\n"
    "  run SCRIPT [ARGS]     runs a script, whatever its name\n"
    "  serve APP.lua         serves the web app that the file returns\n"
    "  dev APP.lua           the same for who writes it: reloads, shows errors in the browser\n"
    "  repl                  the prompt\n"
    "  test [PATH...]        runs busted specs in the loop\n"
    "  ps PID                shows what the tasks of a running moonloop are doing\n"
    "  migrate up            brings a database to where the app's migrations are; also: down, "
    "status,\n"
    "                        new, check\n"
    "  db shell              statements to a database; db copy: from SQLite to PostgreSQL\n"
    "  work APP.lua          runs the jobs of an app\n"
    "  jobs list             shows jobs; also: retry, cancel, stats\n"
    "  openapi APP.lua       prints the OpenAPI document of an app\n"
    "  types APP.lua         prints the types of an app's schemas, for editors\n"
    "  new NAME              makes a project\n"
    "  build APP.lua         makes one program of an app, with everything inside\n"
    "\n"
    "Options, as in lua:\n"
    "  -e CODE               runs a piece of code, before the script or the command\n"
    "  -l MODULE             requires a module into the global of its name, in order with -e;\n"
    "                        -l NAME=MODULE into that one\n"
    "  -i                    the prompt, after the script\n"
    "  -v                    prints the versions first\n"
    "  -E                    ignores LUA_INIT, LUA_PATH and LUA_CPATH\n"
    "  -W                    turns warnings on, which is the default\n"
    "  --                    ends the options: a script follows\n"
    "  --version             prints the versions of moonloop and its libraries\n"
    "  --help                prints this text\n"
    "\n"
    "Exit status: 0, or the status given to os.exit; 1 after an error of the script, of a spec, or "
    "of "
    "an\n"
    "input that repl read from a pipe; 2 for wrong usage; 130 after SIGINT and 143 after "
    "SIGTERM\n"
    "(serve then stops cleanly, and exits with 0).\n";

static const char about_run[] =
    "Usage: moonloop run [OPTIONS] SCRIPT [ARGS]\n"
    "Runs a Lua script; - is standard input. It ends when all of its tasks have ended.\n"
    "\n"
    "  --block-limit MS      reports a task that holds up the loop for longer (" BLOCK_LIMIT
    "); 0: never\n" ABOUT_LOG "  -e CODE, -l MODULE, -i, -v, -E, -W, --\n"
    "                        as in lua: see moonloop --help\n";

static const char about_serve[] =
    "Usage: moonloop serve [OPTIONS] APP.lua\n"
    "Serves the web app that the file returns, until SIGINT, SIGTERM or SIGHUP. The file's folder "
    "is\n"
    "put first on package.path.\n"
    "\n"
    "  --host ADDRESS             address to listen on (" HTTP_LISTEN_HOST ")\n"
    "  --port NUMBER              port to listen on (" TEXT(
        HTTP_LISTEN_PORT) "); 0: any free one\n"
                          "  --listen ADDRESS           in place of both, may be repeated: "
                          "HOST:PORT, [IPv6]:PORT, :PORT\n"
                          "                             (all addresses), unix:PATH, fd:N, "
                          "each with ,tls behind it\n"
                          "  --tls-cert FILE            serves https with this certificate; may be "
                          "repeated: the name\n"
                          "                             that a client asks for chooses\n"
                          "  --tls-key FILE             its key, in the same order\n"
                          "  --workers NUMBER           processes that serve, beside a "
                          "supervisor; auto: one per core\n"
                          "  --reload                   replaces them when the code changes "
                          "(1 worker if no --workers)\n"
                          "  --redirect-https PORT      sends clients of that port to https\n"
                          "  --user NAME                a user to go on as, when the sockets are "
                          "open\n"
                          "  --group NAME               a group, in place of the user's\n"
                          "  --sandbox                  lets the app read and write its own files "
                          "and the temporary\n"
                          "                             ones, read those of the system, and "
                          "execute nothing\n"
                          "  --sandbox-read PATH        the same, and read there, too; may be "
                          "repeated\n"
                          "  --sandbox-write PATH       the same, and read and write there\n"
                          "  --core-files               lets core files be made, which have its "
                          "keys\n"
                          "  --inspect[=ADDR:PORT]      a page that shows what goes on inside, for "
                          "browsers (any\n"
                          "                             free port of 127.0.0.1)\n"
                          "  --docs                     serves /openapi.json and the pages /docs "
                          "and "
                          "/redoc\n"
                          "  --metrics ADDRESS:PORT     shows metrics there, at /metrics, as "
                          "text for Prometheus\n"
                          "  --kill-after SECONDS       kills a worker that has not ended this "
                          "long after its\n"
                          "                             drain limit (" TEXT(
                              DEFAULTS_KILL_AFTER) ")\n"
                                                   "  --access-log FORMAT        a line for each "
                                                   "response on standard output: common or json\n"
                                                   "  --log-level LEVEL          what is "
                                                   "logged on standard error: debug, info, warn "
                                                   "or error,\n"
                                                   "                             and above (info)\n"
                                                   "  --log-format FORMAT        terminal, text or "
                                                   "json (terminal on a terminal, otherwise "
                                                   "json)\n"
                                                   "  --trusted-proxies LIST     addresses and "
                                                   "networks of proxies, and unix, that are "
                                                   "believed\n"
                                                   "                             about the client "
                                                   "(Forwarded, X-Forwarded-*)\n"
                                                   "  --proxy-protocol           each connection "
                                                   "begins with a header of HAProxy's PROXY "
                                                   "protocol\n"
                                                   "  --http2 VALUE              true "
                                                   "(over TLS), false, or clear (also "
                                                   "without TLS)\n"
                                                   "  --root-path PATH           where the proxy "
                                                   "shows the app, such as /api\n"
                                                   "  --block-limit MS           reports a task "
                                                   "that holds up the loop for longer (" BLOCK_LIMIT
                                                   "); 0: "
                                                   "never\n"
                                                   "  --cpu-limit SECONDS        CPU time after "
                                                   "which a task that does not suspend is "
                                                   "interrupted\n"
                                                   "                             (" TEXT(
                                                       DEFAULTS_CPU_LIMIT) "); 0: never\n"
                                                                           "\n"
                                                                           "Limits of the "
                                                                           "server:\n";

static const char about_repl[] =
    "Usage: moonloop repl [OPTIONS]\n"
    "The prompt: each input is a task. TAB completes, Ctrl-C cancels, Ctrl-D leaves. From a pipe "
    "it\n"
    "reads the same input without a prompt.\n"
    "\n"
    "  --block-limit MS      reports a task that holds up the loop for longer (" BLOCK_LIMIT
    "); 0: never\n" ABOUT_LOG;

static const char about_test[] =
    "Usage: moonloop test [OPTIONS] [PATH...]\n"
    "Runs busted specs in the loop (default: spec).\n"
    "\n"
    "  --timeout=SECONDS     how long each `it`, and each block around it, may take (60); 0: "
    "no limit\n"
    "  --virtual-clock       sleeps take no time: the clock jumps to the next timer\n"
    "  --shuffle[=SEED]      random order of specs and of ready tasks, to expose races\n" ABOUT_LOG
    "\nThe options of busted work, too: moonloop test --help lists them\n";

static const char about_ps[] = "Usage: moonloop ps [OPTIONS] PID\n"
                               "Prints what the tasks of a running moonloop are doing; for a "
                               "supervisor, those of its workers.\n"
                               "\n"
                               "  --traceback           also where each task is\n";

#define ABOUT_URL                                                                                  \
  "  --url URL             the database (the environment variable DATABASE_URL, or else "          \
  "sqlite:app.db)\n"

static const char about_migrate[] =
    "Usage: moonloop migrate up|down [NUMBER]|status|new NAME|check [PATH...] [OPTIONS]\n"
    "Migrations are files of SQL: 0001_name.up.sql and 0001_name.down.sql, or 0001_name.sql with a "
    "line\n"
    "'-- down' in it.\n"
    "\n"
    "  up                    runs those that have not run, each in a transaction\n"
    "  down [NUMBER]         undoes the last one, or so many\n"
    "  status                shows which have run\n"
    "  new NAME              writes an empty one with the next number\n"
    "  check [PATH...]       tries those that have not run, and takes them back; then prepares "
    "every\n"
    "                        statement of the app's .sql files (in the folder of the app, or in "
    "PATH)\n"
    "\n" ABOUT_URL "  --dir FOLDER          where the migrations are (migrations)\n";

static const char about_db[] =
    "Usage: moonloop db shell [OPTIONS]\n"
    "       moonloop db copy FROM_URL TO_URL\n"
    "\n"
    "  shell                 sends statements to a database, each up to its ';'; \\? explains "
    "more\n"
    "  copy                  copies all rows of an SQLite database into the tables of a PostgreSQL "
    "one,\n"
    "                        in one transaction; moonloop migrate up makes the tables before\n"
    "\n" ABOUT_URL;

static const char about_dev[] =
    "Usage: moonloop dev [OPTIONS] APP.lua\n"
    "Serves the web app that the file returns to the person who writes it: shows its routes, "
    "starts "
    "it\n"
    "anew when the code changes, serves /docs, and answers a browser whose request fails with a "
    "page\n"
    "about the error. Not for production: that is moonloop serve.\n"
    "\n"
    "  --host ADDRESS        address to listen on (" HTTP_LISTEN_HOST ")\n"
    "  --port NUMBER         port to listen on (" TEXT(
        HTTP_LISTEN_PORT) "); 0: any free one\n"
                          "  --listen ADDRESS      in place of both: see moonloop serve --help\n"
                          "\n"
                          "The other options of moonloop serve are taken, too.\n";

static const char about_jobs[] =
    "Usage: moonloop jobs list [OPTIONS]\n"
    "       moonloop jobs retry|cancel ID... [--url URL]\n"
    "       moonloop jobs stats [--url URL]\n"
    "Looks after the jobs of ml.jobs in a database.\n"
    "\n"
    "  list                  shows those that are not finished, or of one state\n"
    "  retry ID...           runs dead or scheduled ones at once\n"
    "  cancel ID...          takes waiting ones away, and cancels running ones\n"
    "  stats                 how many there are, by queue and name\n"
    "\n" ABOUT_URL "  --state STATE         list: of that state: ready, scheduled, running, dead, "
    "done or cancelled\n"
    "  --name NAME           list: of that name\n"
    "  --queue QUEUE         list: of that queue\n"
    "  --limit NUMBER        list: at most so many (100)\n";

static const char about_work[] =
    "Usage: moonloop work [OPTIONS] APP.lua\n"
    "Loads the file and runs the jobs of every ml.jobs.new in it, until SIGINT, SIGTERM or SIGHUP. "
    "An app\n"
    "that the file returns does not listen; its on_start and on_stop functions run.\n"
    "\n"
    "  --queues LIST         the queues to work, each with how many jobs at once: "
    "emails:20,default:5\n"
    "                        (the queue of each ml.jobs.new, 10 at once); other queues wait for\n"
    "                        another worker\n"
    "  --drain SECONDS       for running jobs when it ends; the others are given back (" TEXT(
        DEFAULTS_WORK_DRAIN) ")\n"
                             "  --user NAME           a user to go on as, before the file is "
                             "loaded\n"
                             "  --group NAME          a group, in place of the user's\n"
                             "  --block-limit MS      reports a task that holds up the loop for "
                             "longer (" BLOCK_LIMIT "); 0: never\n"
                             "  --core-files          lets core files be made, which have its "
                             "keys\n"
                             "  --cpu-limit SECONDS   CPU time after which a task that does not "
                             "suspend is\n"
                             "                        interrupted (" TEXT(
                                 DEFAULTS_CPU_LIMIT) "); 0: never\n"
                                                     "  --inspect[=WHERE]     a page that shows "
                                                     "what goes on inside: ADDR:PORT, or any free\n"
                                                     "                        port of 127.0.0.1\n"
                                                     "  --metrics ADDR:PORT   shows metrics there, "
                                                     "at /metrics, as text for Prometheus\n"
                                                     "  --sandbox             as for serve: lets "
                                                     "the jobs read and write their own files "
                                                     "and\n"
                                                     "                        the temporary ones, "
                                                     "read those of the system, and execute "
                                                     "nothing\n"
                                                     "  --sandbox-read PATH   the same, and read "
                                                     "there, too; may be repeated\n"
                                                     "  --sandbox-write PATH  the same, and read "
                                                     "and write there\n" ABOUT_LOG;

static const char about_openapi[] =
    "Usage: moonloop openapi APP.lua\n"
    "Prints the OpenAPI document of the web app that the file returns, as JSON.\n";

static const char about_types[] =
    "Usage: moonloop types APP.lua\n"
    "       moonloop types --write FOLDER\n"
    "Prints the schemas of the web app that the file returns as types of LuaLS, the language "
    "server,\n"
    "for completion in handlers: moonloop types app.lua > app_types.lua\n"
    "\n"
    "  --write FOLDER        writes the types of moonloop itself into the folder\n";

static const char about_new[] =
    "Usage: moonloop new [OPTIONS] NAME\n"
    "Makes a project in a new folder of that name, with specs that pass, and says what to do "
    "next.\n"
    "\n"
    "  --template TEMPLATE   what it begins with: api (default), page, worker or library\n";

static const char about_build[] =
    "Usage: moonloop build APP.lua -o FILE [OPTIONS]\n"
    "Makes one program of moonloop and an app: its modules, static files, templates and "
    "migrations.\n"
    "FILE serve, run, migrate ... are the commands of moonloop, without the name of the app.\n"
    "\n"
    "  --output FILE         the program to write\n"
    "  -o FILE               the same\n"
    "  --include WHAT        a file, a folder or a module that is not found by itself; may be "
    "repeated\n"
    "  --leave-out WHAT      a file, a folder or a module that is not to be inside; may be "
    "repeated\n";

/* A line for each limit of the server. */
static void print_limits(void) {
  for (int i = 0; i < HTTP_LIMITS; i++) {
    const HttpLimit *limit = &http_limits[i];
    char option[32];
    size_t n = 0;
    for (; limit->name[n]; n++) option[n] = limit->name[n] == '_' ? '-' : limit->name[n];
    if (limit->fallback < 1e300)
      printf("  --%-24.*s %s (%.15g %s)\n", (int)n, option, limit->help, limit->fallback,
             limit->unit);
    else
      printf("  --%-24.*s %s (none)\n", (int)n, option, limit->help);
  }
}

void help_print(CliCommand about) {
  static const char *const texts[CLI_COMMANDS] = {
      [CLI_JOBS] = about_jobs,   [CLI_WORK] = about_work,       [CLI_RUN] = about_run,
      [CLI_SERVE] = about_serve, [CLI_REPL] = about_repl,       [CLI_TEST] = about_test,
      [CLI_PS] = about_ps,       [CLI_HELP] = about_all,        [CLI_MIGRATE] = about_migrate,
      [CLI_DB] = about_db,       [CLI_OPENAPI] = about_openapi, [CLI_TYPES] = about_types,
      [CLI_DEV] = about_dev,     [CLI_NEW] = about_new,         [CLI_BUILD] = about_build};
  if (archive_main())
    printf("The app %s is inside of this program: leave out APP.lua and SCRIPT.\n\n",
           archive_main());
  if (texts[about]) fputs(texts[about], stdout);
  if (about == CLI_SERVE) print_limits();
}
