package a

var dir = "/root/go/pkg"
var home = "/home/someone/go"
var ok = "/var/lib/mep"
