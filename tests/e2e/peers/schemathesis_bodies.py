"""What schemathesis has to be told to run the API: how a body is sent that is
neither JSON nor a form. Loaded by the end-to-end test `contract`."""

import schemathesis


@schemathesis.serializer("application/x-pem-file")
def pem(ctx, value):
    """Any text: the appliance judges what it is."""
    return value if isinstance(value, bytes) else str(value).encode()
