module example.org/own/name/build/tools
