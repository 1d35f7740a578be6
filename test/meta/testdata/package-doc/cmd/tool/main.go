// Command tool does one thing for its caller.
package main

func main() {}
