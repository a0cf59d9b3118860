# Fetches Debian packages and unpacks them: nothing is installed, no service is started, and root is not needed. For
# scripts that source it; whoever runs them must be on Debian or a relative of it.

# fail says what to do instead, which is $instead.
fail() {
  echo "$*" >&2
  echo "$instead" >&2
  exit 1
}

# fetch_debian goes to a folder of its own, which is gone at the end, and unpacks the packages into files/ there. The first
# is what they are wanted for.
fetch_debian() {
  for tool in apt-get dpkg-deb; do
    command -v "$tool" >/dev/null || fail "$1 comes from a Debian package, and there is no $tool here."
  done
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  chmod 755 "$work" # apt gives up root's rights to download
  cd "$work"
  if ! apt-get download "$@" >"$work/log" 2>&1; then
    # Without package lists, or with old ones: new lists, in a place of their own, so that nobody has to be root.
    mkdir -p lists/partial cache/archives/partial
    own=(-o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work/cache" -o Debug::NoLocking=1)
    apt-get "${own[@]}" update >>"$work/log" 2>&1 && apt-get "${own[@]}" download "$@" >>"$work/log" 2>&1 || {
      cat "$work/log" >&2
      fail "The Debian package $1 could not be fetched."
    }
  fi
  for package in *.deb; do
    dpkg-deb -x "$package" files
  done
}
