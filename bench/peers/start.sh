#!/bin/sh
# How long a program takes from its start to its end, the shell's fork included: start.sh COMMAND...
# Prints it as the other measures are printed.
began=$(date +%s%N)
for _ in 1 2 3 4 5 6 7 8 9 10; do "$@" >/dev/null || exit 1; done
ended=$(date +%s%N)
printf 'start\t%s\tns\n' $(((ended - began) / 10))
