"""
An origin that counts. twistd -n -y origin.py
"""

from twisted.application import service, strports
from twisted.web import resource, server


class News(resource.Resource):
    isLeaf = True
    edition = 1
    asked = 0

    def render_GET(self, request):
        News.asked += 1
        request.setHeader("cache-control", "max-age=60" if request.path == b"/news" else "private")
        if request.setETag(b'"%d"' % News.edition):
            return b""  # 304 Not Modified
        return b"edition %d, asked for the %d. time\n" % (News.edition, News.asked)

    def render_POST(self, request):
        News.edition += 1
        return b"edition %d\n" % News.edition


application = service.Application("origin")
strports.service("tcp:8080:interface=127.0.0.1", server.Site(News())).setServiceParent(application)
