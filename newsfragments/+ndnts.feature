Programs on NDNts run at a forwarder unchanged: its producers, consumers and prefix registration, and its client of NFD's management, are tested against
it, and so is each Interest of `nfdc`. `cs/erase` tells that there is more only where there is; `faces/create` refuses local fields and `faces/update` an MTU below the
least, as an NFD does; a face to a UDP peer that has spoken first can be made persistent.
