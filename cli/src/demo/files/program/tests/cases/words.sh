. ./tests/expect.sh
expect words '' 0
expect words 'one\n' 1
expect words 'two words\nand two\n' 4
