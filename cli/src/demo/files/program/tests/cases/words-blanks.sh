. ./tests/expect.sh
expect words 'two  words\n' 2
expect words '  two words  \n' 2
