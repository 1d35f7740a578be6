package main

const shipped = "../../docs/operations.md"
