package y

const shipped = "docs/operations.md"
