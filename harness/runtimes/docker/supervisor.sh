# What a node's shell can do with its server (see container.py): functions for scripts on its console.
#
# The shell is process 1 of the container, so that "-1" means every other process there: the server and whatever it has started.
server=
status=

# Run "$@" as the server, in its working directory. A server that ended before is forgotten.
server_start() {
    (cd /data && exec "$@" </dev/null >&3 2>&3 3>&-) &
    server=$!
    status=
}

# Print the state letter of the server's process; nothing if it is gone, and then its status is in $status.
server_state() {
    [ -n "$server" ] || return 0
    { IFS= read -r stat <"/proc/$server/stat"; } 2>/dev/null || stat=') Z'
    stat=${stat##*) }
    case $stat in
        [ZX]*) wait "$server"; status=$?; server= ;;
        *) printf %s "${stat%% *}" ;;
    esac
}

# Wait up to $2 hundredths of a second until somebody listens on port $1 (four hexadecimal digits) or the server is gone. It goes by
# the clock: on a busy machine each look takes long.
server_settle() {
    hundredths_up
    last=$((now + $2))
    while [ -n "$(server_state)" ] && ! server_listens "$1" && [ "$now" -lt "$last" ]; do
        sleep 0.01
        hundredths_up
    done
    server_state
}

# Set now to the machine's time since its start, in hundredths of a second.
hundredths_up() {
    read -r now _ </proc/uptime
    now=${now%.*}${now#*.}
}

server_listens() {
    for table in /proc/net/tcp /proc/net/tcp6; do
        while read -r _ local _ state _; do
            [ "${local##*:} $state" = "$1 0A" ] && return 0
        done <"$table"
    done 2>/dev/null
    return 1
}

# Kill everything, and return when nothing is left.
server_kill() {
    while others_in '[!ZX]'; do
        kill -KILL -1
        wait
    done 2>/dev/null
    server_state
}

# Stop everything, and return when every thread stands still.
server_pause() {
    kill -STOP -1 2>/dev/null
    while others_in '[!TtZX]'; do :; done
}

# Let everything go on, and return when nothing stands still.
server_resume() {
    kill -CONT -1 2>/dev/null
    while others_in '[T]'; do :; done
}

# Whether a thread beside this shell is in a state that matches the pattern.
others_in() {
    for path in /proc/[0-9]*/task/[0-9]*/stat; do
        case $path in /proc/1/*) continue ;; esac
        { IFS= read -r stat <"$path"; } 2>/dev/null || continue
        stat=${stat##*) }
        # shellcheck disable=SC2254  # a pattern it is
        case ${stat%% *} in $1) return 0 ;; esac
    done
    return 1
}

# Empty the working directory.
data_wipe() {
    find /data -mindepth 1 ! -path /data/.anachron-full -delete
}

# Leave no room in the working directory, to the last byte. The file is not the server's: data_wipe spares it.
data_fill() {
    set -- $(df -Pk /data | tail -n 1)
    fallocate -l "$4k" /data/.anachron-full
    dd if=/dev/zero bs=4k 2>/dev/null >>/data/.anachron-full # what the server has freed meanwhile, and all where fallocate is missing
    set -- $(df -Pk /data | tail -n 1)
    [ "$4" = 0 ]
}

# Print how many KiB are left on the disk.
data_room() {
    set -- $(df -Pk /data | tail -n 1)
    printf %s "$4"
}

# Print what the control group allows: time in microseconds, of so many microseconds, and bytes of memory.
machine_limits() {
    (
        cd /sys/fs/cgroup || exit
        if [ -e cpu.max ]; then
            cat cpu.max memory.max
        else
            cat cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us memory/memory.limit_in_bytes
        fi
    )
}

data_free() {
    rm -f /data/.anachron-full
}

# Ask the server to end, and kill it if it has not done so within $1 seconds.
server_stop() {
    if [ -n "$(server_state)" ]; then
        kill -CONT -1
        kill -TERM "$server"
    fi
    tries=$(($1 * 100))
    while [ -n "$(server_state)" ] && [ "$tries" -gt 0 ]; do
        sleep 0.01
        tries=$((tries - 1))
    done
    server_kill
}
