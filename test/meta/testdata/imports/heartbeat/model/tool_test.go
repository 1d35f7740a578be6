package model

import (
	_ "example.org/own/name/test/helper"
	_ "example.org/own/name/test/pki"
	_ "example.org/own/name/test/proxy"
)
