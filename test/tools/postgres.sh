#!/bin/sh
# A PostgreSQL for the tests, on a port of 127.0.0.1.
#
#   postgres.sh install        Debian's package, unless there is a PostgreSQL
#   postgres.sh start FOLDER   a cluster in FOLDER, made where there is none; prints its port
#   postgres.sh stop FOLDER    ends it
#
# PostgreSQL refuses to be root: then it runs as the user postgres, who must be able
# to enter FOLDER. The cluster is for tests: it syncs nothing to the disk, and
# whoever reaches it is its superuser "postgres" without a password.
set -eu

programs() {
	for folder in $(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V -r) $(dirname "$(command -v initdb || echo /)"); do
		if [ -x "$folder/initdb" ] && [ -x "$folder/pg_ctl" ]; then
			echo "$folder"
			return
		fi
	done
	echo "there is no PostgreSQL; on Debian: apt-get install postgresql" >&2
	return 1
}

ordinary() {
	if [ "$(id -u)" = 0 ]; then
		runuser -u postgres -- "$@"
	else
		"$@"
	fi
}

install() {
	if programs >/dev/null 2>&1; then
		return
	fi
	if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
		programs
	fi
	# RUNLEVEL keeps the package from starting a server of its own.
	export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
	apt-get install -y -q --no-install-recommends postgresql || {
		apt-get update -q
		apt-get install -y -q --no-install-recommends postgresql
	}
}

# A port that another program takes in the meantime is only tried again.
start() {
	bin=$(programs)
	cluster=$1/cluster
	if [ -e "$cluster/postmaster.pid" ] && ordinary "$bin/pg_ctl" -s -D "$cluster" status >/dev/null 2>&1; then
		sed -n 4p "$cluster/postmaster.pid"
		return
	fi
	mkdir -p "$1"
	if [ "$(id -u)" = 0 ]; then
		chown postgres "$1"
	fi
	cd "$1"
	if [ ! -e "$cluster/PG_VERSION" ]; then
		ordinary "$bin/initdb" --no-sync --auth=trust --username=postgres --encoding=UTF8 --locale=C -D "$cluster" >initdb.log 2>&1 || { cat initdb.log >&2; exit 1; }
	fi
	for attempt in 1 2 3 4 5; do
		port=$(awk -v seed="$$$attempt" 'BEGIN { srand(seed); print int(20000 + rand() * 10000) }')
		if ordinary "$bin/pg_ctl" -s -w -t 60 -D "$cluster" -l "$1/postgres.log" -o "-h 127.0.0.1 -p $port -k '' -c fsync=off -c shared_buffers=16MB -c max_connections=20" start >/dev/null 2>&1; then
			echo "$port"
			return
		fi
	done
	cat "$1/postgres.log" >&2
	return 1
}

stop() {
	ordinary "$(programs)/pg_ctl" -s -m immediate -D "$1/cluster" stop
}

case ${1:-} in
install) install ;;
start | stop)
	folder=$(mkdir -p "$2" && cd "$2" && pwd)
	"$1" "$folder"
	;;
*)
	echo "usage: $0 install | start FOLDER | stop FOLDER" >&2
	exit 2
	;;
esac
