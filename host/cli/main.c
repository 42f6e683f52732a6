/* The program: the command line (cli.h), with all modules. */
#include "bindings/modules.h"
#include "cli/cli.h"

int main(int argc, char **argv) { return cli_main(argc, argv, modules_open); }
