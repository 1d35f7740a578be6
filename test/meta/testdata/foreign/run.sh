farm-run x
farmland is fine
cd /Users/Someone/src
