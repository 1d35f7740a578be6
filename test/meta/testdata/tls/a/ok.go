package a

// The word InsecureSkipVerify in a comment or "InsecureSkipVerify" in a text does no harm.
var text = "InsecureSkipVerify"
