# The inside of a console (see console.py): runs one script after another, as they come in on stdin.
#
# A request is a line "TOKEN LINES" and so many lines of shell. What the script writes, and then "\nTOKEN STATUS\n", goes to stderr.
# File descriptor 3 is the container's own output, for servers that the scripts start. The end of stdin ends the shell.
exec 3>&1 1>&2
newline='
'
while read -r token lines; do
    script=
    while [ "$lines" -gt 0 ]; do
        IFS= read -r line || exit 0
        script=$script$line$newline
        lines=$((lines - 1))
    done
    # "command" keeps a faulty script from ending this shell.
    command eval "$script" </dev/null
    printf '\n%s %d\n' "$token" "$?"
done
