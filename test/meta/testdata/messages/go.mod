module example.org/own/name

go 1.26
