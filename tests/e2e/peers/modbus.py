"""A Modbus TCP client of somebody else's: pymodbus.

Takes the port, for TLS the certificate to trust, and on standard input a JSON
list of operations; writes the list of results. An operation is {"fn", "unit", "address", "count"} or, for
writes, {"fn", "unit", "address", "values"}; a result is {"words"}, {"bits"},
{"written"}, {"identity"} or {"exception"}.
"""

import json
import ssl
import sys

from pymodbus.client import ModbusTcpClient, ModbusTlsClient


def ask(client, op):
    unit, address = op["unit"], op.get("address", 0)
    count, values = op.get("count", 0), op.get("values", [])
    match op["fn"]:
        case 1:
            return client.read_coils(address, count=count, device_id=unit)
        case 2:
            return client.read_discrete_inputs(address, count=count, device_id=unit)
        case 3:
            return client.read_holding_registers(address, count=count, device_id=unit)
        case 4:
            return client.read_input_registers(address, count=count, device_id=unit)
        case 5:
            return client.write_coil(address, values[0], device_id=unit)
        case 6:
            return client.write_register(address, values[0], device_id=unit)
        case 15:
            return client.write_coils(address, values, device_id=unit)
        case 16:
            return client.write_registers(address, values, device_id=unit)
        case 23:
            return client.readwrite_registers(
                read_address=op["read"], read_count=count, write_address=address,
                values=values, device_id=unit)
        case 43:
            return client.read_device_information(read_code=1, device_id=unit)


def result(op, answer):
    if answer.isError():
        return {"exception": answer.exception_code}
    match op["fn"]:
        case 1 | 2:
            return {"bits": answer.bits[: op["count"]]}
        case 3 | 4 | 23:
            return {"words": answer.registers}
        case 43:
            return {"identity": [text.decode() for text in answer.information.values()]}
        case _:
            return {"written": True}


def connection(port, certificate=None):
    options = {"port": int(port), "timeout": 10, "retries": 0}
    if certificate is None:
        return ModbusTcpClient("127.0.0.1", **options)
    trust = ssl.create_default_context(cafile=certificate)
    # It gives OpenSSL no name to compare; it trusts this certificate alone.
    trust.check_hostname = False
    return ModbusTlsClient("127.0.0.1", sslctx=trust, **options)


def main():
    client = connection(*sys.argv[1:])
    if not client.connect():
        sys.exit("no connection")
    operations = json.load(sys.stdin)
    print(json.dumps([result(op, ask(client, op)) for op in operations]))
    client.close()


main()
