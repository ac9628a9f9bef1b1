"""`python -m appliance` is `room-appliance`."""

import sys

from appliance.cli import main

sys.exit(main())
