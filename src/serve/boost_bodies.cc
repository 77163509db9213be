// The bodies of what the room uses of Boost, which its headers leave out.

#include <boost/asio/impl/src.hpp>
#include <boost/beast/src.hpp>
