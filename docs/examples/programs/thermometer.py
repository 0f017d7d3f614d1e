"""
A producer on python-ndn: it says how warm it is, to whoever asks for /weather/temperature.
"""

from ndn.appv2 import NDNApp
from ndn.security import DigestSha256Signer

app = NDNApp()


def answer(name, parameters, reply, context):
    reply(app.make_data(name, b"21 degrees", DigestSha256Signer(), freshness_period=100))


async def register():
    app.attach_handler("/weather/temperature", answer)
    if await app.register("/weather/temperature"):
        print("registered /weather/temperature", flush=True)


app.run_forever(register())
