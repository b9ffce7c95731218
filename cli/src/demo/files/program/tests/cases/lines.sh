. ./tests/expect.sh
expect lines '' 0
expect lines 'one\ntwo\n' 2
expect lines 'one\ntwo' 2
