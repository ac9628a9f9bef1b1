#!/bin/sh
# again.sh PYTHON: the tests that failed last, alone, unless they are more than a busy machine explains.
failed=$(sed -n '/": true/p' .pytest_cache/v/cache/lastfailed | wc -l)
if [ "$failed" -gt 8 ]; then
    echo "$failed tests failed" >&2
    exit 1
fi
echo "failed, and now once more alone:"
sed -n 's/^ *"\(.*\)": true,*$/  \1/p' .pytest_cache/v/cache/lastfailed
exec "$1" -m pytest --last-failed --last-failed-no-failures none
