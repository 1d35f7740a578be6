package a

import "crypto/tls"

func f(c *tls.Config) {
	c.InsecureSkipVerify = true
}
