#!/bin/sh
# Writes the man pages and the completions of a program, wigwag, into a folder: what packages have besides it.
# They are made of the same description as its help, so they are not kept in the repository.
set -eu
program=${1:?usage: pages.sh PROGRAM FOLDER}
folder=${2:?usage: pages.sh PROGRAM FOLDER}
mkdir -p "$folder/completions"
"$program" man "$folder/man"
"$program" completions bash > "$folder/completions/wigwag"
"$program" completions zsh > "$folder/completions/_wigwag"
"$program" completions fish > "$folder/completions/wigwag.fish"
